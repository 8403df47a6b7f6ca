"""Send one message to every clinic, and accept the replies one by one as they arrive."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from flwr.app import DEFAULT_TTL, Error, Message, RecordDict
from flwr.serverapp import Grid

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import Refusal

_PAUSE_SECONDS = (0.01, 1.0)  # first and longest pause between two checks for replies
_PAUSE_EACH = 1e-4  # for each clinic that is waited for: a look at it takes a tenth of that
_PAUSE_SHARE = 0.01  # of the time since the last reply: so much longer a round takes at most

_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

LOST = {
    3: "it did not reply in time",
    4: "its reply did not arrive in full, or in time",
    5: "it is not connected",
    8: "its worker ended during the work",
}
"""Our texts for Flower's own error codes, whose names are private."""

Accept = Callable[[str, RecordDict], float]
"""Accepts a clinic's reply and returns its seconds of work; refuses it with a FederationError."""


@dataclass(frozen=True)
class Assignment:
    """The message of one exchange.

    Attributes:
        kind: a Flower ``MessageType``.
        round: the round's number, noted on the messages.
        content: the same for every clinic.
        own: records that only one clinic gets besides, by its name.
    """

    kind: str
    round: int
    content: RecordDict
    own: Mapping[str, RecordDict] = field(default_factory=dict)


@dataclass
class Participation:
    """Who took part.

    Attributes:
        replied: names of the clinics whose reply was accepted, in order of arrival.
        left_out: the other clinics' names, each with the reason.
        busy_seconds: time during which at least one clinic was working.
    """

    replied: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    busy_seconds: float = 0.0


def exchange(
    grid: Grid, assignment: Assignment, clinics: Mapping[int, str], deadline: float, accept: Accept
) -> Participation:
    """Send the assignment to every clinic and accept the replies that come in time, never two at once.

    Args:
        grid: Flower's connection to the clinics.
        assignment: the message.
        clinics: node id to name.
        deadline: seconds to wait for replies; may be infinite.
        accept: accepts or refuses one reply; the clinic of a refused reply is left out with the reason.
    """
    start = time.monotonic()
    participation = Participation()
    waiting = _push(grid, assignment, clinics, deadline, participation)
    work: list[tuple[float, float]] = []
    for clinic, reply in _arrivals(grid, waiting, start + deadline):
        arrived = time.monotonic()
        try:
            seconds = accept(clinic, _content(reply))
        except FederationError as error:
            participation.left_out[clinic] = error.what
        else:
            participation.replied.append(clinic)
            # By this machine's clock; a clinic can claim no more than the time that has passed.
            work.append((max(start, arrived - seconds), arrived))
        del reply
    participation.left_out |= dict.fromkeys(waiting.values(), f"no reply within {deadline:g} seconds")
    participation.busy_seconds = covered_seconds(work)
    return participation


def covered_seconds(spans: list[tuple[float, float]]) -> float:
    """Length of the union of (start, end) spans."""
    covered, until = 0.0, -math.inf
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _push(
    grid: Grid,
    assignment: Assignment,
    clinics: Mapping[int, str],
    deadline: float,
    participation: Participation,
) -> dict[str, str]:
    """Send the messages; returns message id to clinic."""
    ttl = deadline if math.isfinite(deadline) else DEFAULT_TTL
    waiting: dict[str, str] = {}
    for node, clinic in clinics.items():
        own = assignment.own.get(clinic)
        content = RecordDict({**assignment.content, **own}) if own else assignment.content
        message = Message(content, node, assignment.kind, ttl=ttl, group_id=str(assignment.round))
        # One at a time: a grid leaves out the id of a message it could not store.
        sent = list(grid.push_messages([message]))
        if sent:
            waiting[sent[0]] = clinic
        else:
            participation.left_out[clinic] = "the message could not be sent"
    return waiting


def _arrivals(grid: Grid, waiting: dict[str, str], end: float) -> Iterator[tuple[str, Message]]:
    """Yield (clinic, reply) and remove it from ``waiting``, until all have replied or ``end`` has come."""
    pause, since = _PAUSE_SECONDS[0], time.monotonic()
    while waiting:
        before, shortest = len(waiting), max(_PAUSE_SECONDS[0], _PAUSE_EACH * len(waiting))
        for message_id in list(waiting):
            if time.monotonic() >= end:
                return
            replies = list(grid.pull_messages([message_id]))
            if replies:
                yield waiting.pop(message_id), replies.pop()
        now = time.monotonic()
        if len(waiting) < before:
            pause, since = shortest, now
        else:
            pause = min(2 * pause, _PAUSE_SECONDS[1], max(shortest, _PAUSE_SHARE * (now - since)))
        if waiting:
            time.sleep(max(0.0, min(pause, end - now)))


def _content(reply: Message) -> RecordDict:
    if reply.has_error():
        raise FederationError(error_text(reply.error))
    return reply.content


def error_text(error: Error) -> str:
    """Why a reply has no result; of a clinic's own words only the type of its exception."""
    if error.code not in set(Refusal):
        # The text of other errors is not ours and may contain anything.
        return LOST.get(error.code, f"it replied with Flower's error {error.code}")
    what = Refusal(error.code).name.replace("_", " ").lower()
    kind = error.reason or ""
    if not _TYPE_NAME.fullmatch(kind):
        kind = "unknown"
    return f"{what} there ({kind}); {_REMEDIES.get(kind, 'its own log says why')}"


_REMEDIES = {
    "BudgetSpent": "its patients' epsilon is spent: go on without it, or ask for another plan",
    "LedgerSetBack": "its ledger of privacy is an older copy: the newest has to be put back there",
}
"""By the type of a clinic's exception, what a person can do."""
