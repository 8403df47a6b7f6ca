"""Before a run: each clinic is offered it, and those that join prepare."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from flwr.app import DEFAULT_TTL, RecordDict
from flwr.serverapp import Grid

from dermafed.server.coordinator.engine import Heard
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

_AGAIN_SECONDS = (2.0, 15.0)  # first and longest pause between two offers to a clinic that has not decided
_ANSWER_SECONDS = 120.0  # a clinic counts its images before it joins
MUST_FIT = ("dermafed", "flwr")
"""Packages of which a clinic has the server's minor version, or is left out."""

MAY_DIFFER = ("keras",)
"""Packages whose other version is only named."""


@dataclass(frozen=True)
class Agreement:
    """Who takes part in a run.

    Attributes:
        joined: node id to name of the clinics that approved and are ready.
        class_counts: their training images of each class together.
        answers: what each clinic last said, by name.
        left_out: the other clinics' names, each with the reason.
    """

    joined: dict[int, str]
    class_counts: tuple[int, ...]
    answers: dict[str, Answer]
    left_out: dict[str, str]


@dataclass
class _Talk:
    """What the clinics have said so far.

    Attributes:
        clinics: node id to name of all.
        heard: told whatever is new.
        answers: by name.
        left_out: name to reason of those that have not joined.
        refused: node ids of those that will not.
        joined: node id to name.
    """

    clinics: Mapping[int, str]
    heard: Heard
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
    heard: Heard,
    prepare_seconds: float = DEFAULT_TTL,
) -> Agreement:
    """Offer a run to clinics, and let those that join prepare.

    A clinic that waits for someone's approval is asked again until the time is over. It goes on sooner when
    all have decided, or when so many refused that the quorum cannot come.

    Args:
        grid: the connection to the clinics.
        clinics: node id to name of those that the run is planned for.
        offer: the run.
        rules: how many clinics are needed, and how many images of one are believed.
        approval_seconds: how long to wait for the clinics' decisions.
        heard: told what a clinic says each time: its name, the answer, why it does not join.
        prepare_seconds: how long they may then take to prepare their images.

    Raises:
        FederationError: fewer than the quorum joined; names every clinic with its reason.
    """
    talk = _Talk(clinics, heard, left_out=dict.fromkeys(clinics.values(), "it is not connected"))
    _ask(grid, offer, rules, talk, time.monotonic() + approval_seconds)
    _check_quorum(talk, rules)
    while not _prepare(grid, talk, prepare_seconds):
        _check_quorum(talk, rules)
    return Agreement(talk.joined, _sum(talk), talk.answers, talk.left_out)


def _ask(grid: Grid, offer: Offer, rules: RoundRules, talk: _Talk, end: float) -> None:
    pause, longest = _AGAIN_SECONDS
    while True:
        _offer(grid, offer, rules, talk)
        left = end - time.monotonic()
        decided = len(talk.joined) + len(talk.refused) == len(talk.clinics)
        hopeless = len(talk.clinics) - len(talk.refused) < rules.needed
        if decided or hopeless or left <= 0:
            return
        _wait(grid, min(pause, left))
        pause = min(2 * pause, longest)


def _wait(grid: Grid, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        grid.get_node_ids()  # raises once the run is stopped
        time.sleep(min(0.25, seconds))


def _offer(grid: Grid, offer: Offer, rules: RoundRules, talk: _Talk) -> None:
    """Ask those that are connected and have not decided, once, and note their answers."""
    settled = talk.refused | set(talk.joined)
    asked = {node: talk.clinics[node] for node in set(grid.get_node_ids()) & set(talk.clinics) - settled}
    received: list[Answer] = []

    def accept(content: RecordDict) -> float:
        received.append(decode_answer(content, len(offer.model.classes)))
        return 0.0

    question = Assignment(OFFER_QUERY, 0, encode_offer(offer.to_text()))
    attendance = exchange(grid, question, asked, _ANSWER_SECONDS, accept)
    talk.left_out |= attendance.left_out
    nodes = {name: node for node, name in asked.items()}
    for name, answer in zip(attendance.replied, received, strict=True):
        _note(talk, nodes[name], answer, rules)


def _note(talk: _Talk, node: int, answer: Answer, rules: RoundRules) -> None:
    name = talk.clinics[node]
    misfit = _misfit(answer)
    reason = misfit or _objection(answer, rules)
    talk.answers[name] = answer
    talk.heard(name, answer, reason or "")
    if reason is None:
        talk.joined[node] = name
        del talk.left_out[name]
        _name_differences(name, answer)
        return
    talk.left_out[name] = reason
    if misfit or answer.decision is not Decision.WAITING:
        talk.refused.add(node)


def _misfit(answer: Answer) -> str | None:
    """Which package there does not fit the server's, up to the minor version."""
    for package in MUST_FIT:
        there, here = answer.versions.get(package, "not told"), version(package)
        if there.split(".")[:2] != here.split(".")[:2]:
            return f"its version of {package} is {there}, the server's is {here}"
    return None


def _name_differences(clinic: str, answer: Answer) -> None:
    for package in MAY_DIFFER:
        there, here = answer.versions.get(package), version(package)
        if there != here:
            log.warning("%s joins with %s %s; the server has %s", clinic, package, there, here)


def _objection(answer: Answer, rules: RoundRules) -> str | None:
    """Why a clinic does not join, in its own words or by its count of images."""
    if answer.decision is not Decision.APPROVED or answer.class_counts is None:
        return f"{answer.decision.value}: {answer.reason.value or 'no reason given'}"
    images = sum(map(int, answer.class_counts))
    if not 1 <= images <= rules.most_images:
        return f"approved, but with {images} training images, not 1 to {rules.most_images}"
    return None


def _prepare(grid: Grid, talk: _Talk, seconds: float) -> bool:
    """Tell the clinics that joined what they have together; whether all of them got ready for it."""
    told = Assignment(PREPARE_QUERY, 0, encode_counts(_sum(talk)))
    attendance = exchange(grid, told, talk.joined, seconds, decode_ready)
    talk.left_out |= attendance.left_out
    talk.joined = {node: name for node, name in talk.joined.items() if name in attendance.replied}
    return not attendance.left_out


def _sum(talk: _Talk) -> tuple[int, ...]:
    """Training images of each class over the clinics that joined."""
    counts = [answer.class_counts for name, answer in talk.answers.items() if name in talk.joined.values()]
    columns = zip(*(told for told in counts if told is not None), strict=True)
    return tuple(sum(map(int, column)) for column in columns)


def _check_quorum(talk: _Talk, rules: RoundRules) -> None:
    if len(talk.joined) >= rules.needed:
        return
    reasons = [f"{name}: {reason}" for name, reason in sorted(talk.left_out.items())]
    raise FederationError(
        f"{len(talk.joined)} of the {rules.needed} clinics that the run needs have joined it",
        where="; ".join(reasons),
        remedy="Mend what is named here, or ask the clinics to approve it, then start the run again",
    )
