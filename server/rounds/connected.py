"""The connected clinics, and those that were left out of an exchange, by name."""

from __future__ import annotations

import time

from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Participation
from dermafed.server.rounds.round_rules import RoundRules


def connected(grid: Grid, rules: RoundRules) -> dict[int, str]:
    """Node id to name of the connected clinics, once they are a quorum or the time for it is over."""
    end = time.monotonic() + rules.connect_seconds
    while len(clinics := _names(grid)) < rules.needed and time.monotonic() < end:
        time.sleep(0.2)
    return dict(sorted(clinics.items(), key=lambda item: item[1]))


def _names(grid: Grid) -> dict[int, str]:
    """The connected clinics by Flower's names, or by their node ids."""
    return {node.node_id: node.name or f"node {node.node_id}" for node in grid.get_nodes()}


def reasons(participation: Participation) -> list[str]:
    """Who was left out of an exchange, and why, by clinic."""
    return [f"{clinic}: {reason}" for clinic, reason in sorted(participation.left_out.items())]
