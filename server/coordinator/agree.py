"""Agree on a run with the clinics: each one is offered it, and those that join prepare."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from flwr.app import DEFAULT_TTL, RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from dermafed.server.coordinator.versions import log_differences, version_conflict
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Answer,
    Decision,
    decode_answer,
    decode_ready,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.offer import Offer

log = logging.getLogger("dermafed.server")

_RETRY_SECONDS = (2.0, 15.0)  # first and longest pause between two offers to a clinic that has not decided
_ANSWER_SECONDS = 120.0  # a clinic counts its images before it joins
Count = Callable[[Mapping[int, str]], tuple[int, ...]]
"""Node id to name of the clinics that join, to their training images of each class together."""

OnAnswer = Callable[[str, Answer, str], None]
"""Called with each answer: the clinic's name, the answer, why it does not join."""


@dataclass(frozen=True)
class Agreement:
    """Who takes part in a run.

    Attributes:
        joined: node id to name of the clinics that approved and are ready.
        class_counts: their training images of each class together.
        answers: each clinic's last answer, by name.
        counts: each of their training images of each class, by name; none where only their sum is known.
        left_out: the other clinics' names, each with the reason.
    """

    joined: dict[int, str]
    class_counts: tuple[int, ...]
    counts: dict[str, tuple[int, ...]]
    answers: dict[str, Answer]
    left_out: dict[str, str]


@dataclass
class _Negotiation:
    """The clinics' answers so far.

    Attributes:
        clinics: node id to name of all.
        on_answer: called with each new answer.
        answers: by name.
        left_out: name to reason of those that have not joined.
        refused: node ids of those that will not join.
        joined: node id to name.
        counted: whether each clinic tells its class counts.
        together: the class counts over all, where that is all that is known.
    """

    clinics: Mapping[int, str]
    on_answer: OnAnswer
    counted: bool = True
    together: tuple[int, ...] = ()
    answers: dict[str, Answer] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    joined: dict[int, str] = field(default_factory=dict)


def agree(
    grid: Grid,
    clinics: Mapping[int, str],
    offer: Offer,
    rules: RoundRules,
    approval_seconds: float,
    *,
    on_answer: OnAnswer,
    prepare_seconds: float = DEFAULT_TTL,
    count: Count | None = None,
) -> Agreement:
    """Offer a run to clinics, and let those that join prepare.

    A clinic that waits for someone's approval is asked again until the time is over. The waiting ends sooner
    when all have decided, or when so many have refused that the quorum cannot be reached.

    Args:
        grid: the connection to the clinics.
        clinics: node id to name of those that the run is planned for.
        offer: the run.
        rules: how many clinics are needed, and how many images of one clinic are plausible.
        approval_seconds: how long to wait for the clinics' decisions.
        on_answer: called with each answer.
        prepare_seconds: how long they may then take to prepare their images.
        count: counts the images of those that join, where none of them tells its own.

    Raises:
        FederationError: fewer than the quorum joined; names every clinic with its reason. Or there is a
            class of which nobody who joined has a training image.
    """
    left_out = dict.fromkeys(clinics.values(), "it is not connected")
    state = _Negotiation(clinics, on_answer, counted=count is None, left_out=left_out)
    _offer_until_decided(grid, offer, rules, state, time.monotonic() + approval_seconds)
    _check_quorum(state, rules)
    if count is not None:
        state.together = count(state.joined)
    _check_classes(state, offer)
    while not _prepare(grid, state, prepare_seconds):
        _check_quorum(state, rules)
        _check_classes(state, offer)
    counts = {name: tuple(map(int, own)) for name, own in _counts(state).items()}
    return Agreement(state.joined, _sum(state), counts, state.answers, state.left_out)


def _offer_until_decided(
    grid: Grid, offer: Offer, rules: RoundRules, state: _Negotiation, end: float
) -> None:
    pause, longest = _RETRY_SECONDS
    while True:
        _offer_once(grid, offer, rules, state)
        left = end - time.monotonic()
        decided = len(state.joined) + len(state.refused) == len(state.clinics)
        hopeless = len(state.clinics) - len(state.refused) < rules.needed
        if decided or hopeless or left <= 0:
            return
        _wait(grid, min(pause, left))
        pause = min(2 * pause, longest)


def _wait(grid: Grid, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        grid.get_node_ids()  # raises once the run is stopped
        time.sleep(min(0.25, seconds))


def _offer_once(grid: Grid, offer: Offer, rules: RoundRules, state: _Negotiation) -> None:
    """Offer the run once to those that are connected and undecided, and add their answers."""
    settled = state.refused | set(state.joined)
    asked = {node: state.clinics[node] for node in set(grid.get_node_ids()) & set(state.clinics) - settled}
    received: list[Answer] = []

    def accept(clinic: str, content: RecordDict) -> float:
        received.append(decode_answer(content, len(offer.model.classes), counted=state.counted))
        return 0.0

    message = Assignment(OFFER_QUERY, 0, encode_offer(offer.to_text()))
    participation = exchange(grid, message, asked, _ANSWER_SECONDS, accept)
    state.left_out |= participation.left_out
    nodes = {name: node for node, name in asked.items()}
    for name, answer in zip(participation.replied, received, strict=True):
        _add_answer(state, nodes[name], answer, rules)


def _add_answer(state: _Negotiation, node: int, answer: Answer, rules: RoundRules) -> None:
    name = state.clinics[node]
    conflict = version_conflict(answer)
    reason = conflict or _objection(answer, rules, counted=state.counted)
    state.answers[name] = answer
    state.on_answer(name, answer, reason or "")
    if reason is None:
        state.joined[node] = name
        del state.left_out[name]
        log_differences(name, answer)
        return
    state.left_out[name] = reason
    if conflict or answer.decision is not Decision.WAITING:
        state.refused.add(node)


def _objection(answer: Answer, rules: RoundRules, *, counted: bool) -> str | None:
    """Why a clinic does not join: its own reason, or its number of images."""
    if answer.decision is Decision.APPROVED and not counted:
        return None
    if answer.decision is not Decision.APPROVED or answer.class_counts is None:
        return f"{answer.decision.value}: {answer.reason.value or 'no reason given'}"
    images = sum(map(int, answer.class_counts))
    if not 1 <= images <= rules.most_images:
        return f"approved, but with {images} training images, not 1 to {rules.most_images}"
    return None


def _prepare(grid: Grid, state: _Negotiation, seconds: float) -> bool:
    """Send the clinics that joined their counts together; whether all of them are ready."""
    message = Assignment(PREPARE_QUERY, 0, encode_counts(_sum(state)))
    participation = exchange(grid, message, state.joined, seconds, lambda _, content: decode_ready(content))
    state.left_out |= participation.left_out
    state.joined = {node: name for node, name in state.joined.items() if name in participation.replied}
    return not participation.left_out


def _sum(state: _Negotiation) -> tuple[int, ...]:
    """Training images of each class over the clinics that joined."""
    if not state.counted:
        return state.together
    return tuple(sum(map(int, column)) for column in zip(*_counts(state).values(), strict=True))


def _counts(state: _Negotiation) -> dict[str, NDArray[np.int64]]:
    """Training images of each class, of each clinic that joined."""
    joined = {name: state.answers[name].class_counts for name in state.joined.values()}
    return {name: counts for name, counts in joined.items() if counts is not None}


def _check_quorum(state: _Negotiation, rules: RoundRules) -> None:
    if len(state.joined) >= rules.needed:
        return
    reasons = [f"{name}: {reason}" for name, reason in sorted(state.left_out.items())]
    raise FederationError(
        f"{len(state.joined)} of the {rules.needed} clinics that the run needs have joined it",
        where="; ".join(reasons),
        remedy="Fix what is named here, or ask the clinics to approve it, then start the run again",
    )


def _check_classes(state: _Negotiation, offer: Offer) -> None:
    """Refuse a class that no model would learn: its probability would mean nothing, and look like no risk."""
    missing = [name for name, images in zip(offer.model.classes, _sum(state), strict=True) if not images]
    if missing:
        raise FederationError(
            f"No clinic that joined has a training image of: {', '.join(missing)}",
            where=", ".join(sorted(state.joined.values())),
            remedy="Ask a clinic that has some to join, or leave the class out of the plan's classes",
        )
