"""Queries to the connected clinics beside the rounds: explanations and calibration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TypeVar

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.connected import connected, reasons
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.server.rounds.round_rules import RoundRules

log = logging.getLogger("dermafed.server")

_Reply = TypeVar("_Reply")


def collect(
    grid: Grid,
    assignment: Assignment,
    rules: RoundRules,
    decode: Callable[[str, RecordDict], tuple[_Reply, float]],
    only: Collection[str] | None = None,
) -> tuple[dict[str, _Reply], dict[str, str]]:
    """Send a query to the connected clinics, and collect their replies; no quorum is needed.

    Args:
        grid: Flower's connection to the clinics.
        assignment: the query.
        rules: how long to wait for the clinics and their replies.
        decode: decodes a clinic's reply and its seconds of work, or refuses it with a FederationError.
        only: names of the clinics to ask; all by default.

    Returns:
        Each accepted reply by the clinic's name, and the other clinics, each with the reason; both in
        alphabetical order, since the sum of floats depends on the order.
    """
    received: list[_Reply] = []

    def accept(clinic: str, content: RecordDict) -> float:
        reply, seconds = decode(clinic, content)
        received.append(reply)
        return seconds

    clinics = {node: name for node, name in connected(grid, rules).items() if only is None or name in only}
    participation = exchange(grid, assignment, clinics, rules.deadline, accept)
    for why in reasons(participation):
        log.warning("%s: left out %s", assignment.kind, why)
    replies = sorted(zip(participation.replied, received, strict=True), key=lambda pair: pair[0])
    return dict(replies), dict(sorted(participation.left_out.items()))
