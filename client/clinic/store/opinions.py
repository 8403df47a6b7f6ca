"""Clinicians' opinions on diagnoses, who looked at them, and the events that store both."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.diagnoses import load
from dermafed.client.clinic.store.vault import Vault, find_row, now, to_iso
from dermafed.shared.errors import StorageError

log = logging.getLogger("dermafed.store")

OTHER = "other"
CONFIRMATIONS = ("histopathology", "follow-up", "consensus")
_LONGEST_REASON, _LONGEST_NAME = 2000, 100

# Kinds of events, as they stand in the database: events are added, and never changed.
VIEW, OPINION, WITHDRAWAL, REVIEW = "looked", "said", "withdrew", "reviewed"

Standing = Literal["current", "replaced", "withdrawn"]


@dataclass(frozen=True, slots=True)
class View:
    """Somebody looked at a diagnosis.

    Attributes:
        who: the clinician, by the name of the token.
        time: ISO 8601 in UTC, to the millisecond.
    """

    who: str
    time: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """A clinician's opinion on a diagnosis.

    Attributes:
        who: the clinician, by the name of the token.
        agrees: whether the clinician agrees with the prediction.
        label: the class that it is instead, or ``"other"``; ``None`` where the clinician agrees.
        reason: in the clinician's words.
        confirmed_by: how it was confirmed: ``histopathology``, ``follow-up``, ``consensus``; or ``None``.
        time: when it was saved, ISO 8601 in UTC, to the millisecond; set by the store.
        standing: whether it counts: of each clinician only the latest does, unless it was withdrawn; set by
            the store.
    """

    who: str
    agrees: bool
    label: str | None = None
    reason: str = ""
    confirmed_by: str | None = None
    time: str = ""
    standing: Standing = "current"

    @property
    def counts(self) -> bool:
        """Whether it is the clinician's latest, and not withdrawn."""
        return self.standing == "current"

    @property
    def needs_review(self) -> bool:
        """Whether it counts, and disagrees or confirms the diagnosis: something to train with."""
        return self.counts and (not self.agrees or self.confirmed_by is not None)

    def to_dict(self) -> dict[str, Any]:
        """The opinion as JSON types, without the standing of one that counts, as version 0.1.0 wrote it."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name != "standing" or not self.counts}

    def describe(self) -> str:
        """The opinion on a line."""
        verdict = "agrees" if self.agrees else f"says {self.label}"
        confirmed = f", confirmed by {self.confirmed_by}" if self.confirmed_by else ""
        reason = f": {self.reason}" if self.reason else ""
        standing = "" if self.counts else f" ({self.standing})"
        return f"{self.who} {verdict}{confirmed}{reason}{standing}"


def check_opinion(opinion: Opinion, classes: tuple[str, ...]) -> None:
    """Refuse an opinion that is not valid.

    Raises:
        Refused: it contradicts itself, names no class of the model, or is too long (400).
    """
    choices = f"Use one of {', '.join((*classes, OTHER))}"
    if opinion.agrees and opinion.label is not None:
        raise _refused("label", "An opinion that agrees has no label", "Leave the label out, or disagree")
    if not opinion.agrees and opinion.label not in (*classes, OTHER):
        raise Refused("class-unknown", "There is no such class", where="label", remedy=choices)
    if opinion.confirmed_by not in (None, *CONFIRMATIONS):
        remedy = f"Use one of {', '.join(CONFIRMATIONS)}, or leave it out"
        raise _refused("confirmed_by", "This is not a way to confirm a diagnosis", remedy)
    if len(opinion.reason) > _LONGEST_REASON:
        raise _refused("reason", "The reason is too long", f"Use at most {_LONGEST_REASON} characters")
    if not 0 < len(opinion.who) <= _LONGEST_NAME:
        raise _refused("who", "An opinion needs a name", f"Use 1 to {_LONGEST_NAME} characters")


def _refused(where: str, what: str, remedy: str) -> Refused:
    return Refused("opinion", what, where=where, remedy=remedy)


def add_event(vault: Vault, db: sqlite3.Connection, id: str, kind: str, content: Mapping[str, Any]) -> int:
    """Add an event to a diagnosis; returns its time in milliseconds.

    Raises:
        Refused: there is no such diagnosis (404), or it was forgotten (410).
    """
    find_row(db, id)
    time = now()
    encrypted = vault.cipher.encrypt_json(content, kind, id, str(time))
    db.execute(
        "INSERT INTO events (diagnosis, time, kind, content) VALUES (?, ?, ?, ?)", (id, time, kind, encrypted)
    )
    return time


def events(vault: Vault, db: sqlite3.Connection, id: str, *kinds: str) -> list[dict[str, Any]]:
    """The events of some kinds, oldest first, each with its ``kind`` and ``time``."""
    find_row(db, id)
    query = f"SELECT * FROM events WHERE diagnosis = ? AND kind IN ({_marks(kinds)}) ORDER BY number"
    return [_event(vault, row) for row in db.execute(query, (id, *kinds))]


def events_between(
    vault: Vault, db: sqlite3.Connection, start: int, end: int, *kinds: str
) -> dict[str, list[dict[str, Any]]]:
    """The events of some kinds, by the diagnosis that they are about, as :func:`events` returns them.

    Those that cannot be read are left out.

    Args:
        vault: the store.
        db: its database.
        start: of the diagnoses' times, in milliseconds.
        end: after the last of them.
        kinds: of events.
    """
    query = (
        "SELECT events.* FROM events JOIN diagnoses ON diagnoses.id = events.diagnosis"
        f" WHERE made >= ? AND made < ? AND kind IN ({_marks(kinds)}) ORDER BY number"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in db.execute(query, (start, end, *kinds)):
        try:
            found.setdefault(row["diagnosis"], []).append(_event(vault, row))
        except StorageError as error:
            log.error("an event of the diagnosis %s is left out: %s", row["diagnosis"], error)
    return found


def _marks(kinds: tuple[str, ...]) -> str:
    return ", ".join("?" * len(kinds))


def _event(vault: Vault, row: sqlite3.Row) -> dict[str, Any]:
    return {**decrypt_event(vault, row), "kind": row["kind"], "time": to_iso(row["time"])}


def decrypt_event(vault: Vault, row: sqlite3.Row) -> dict[str, Any]:
    """The content of an event."""
    content: dict[str, Any] = vault.decrypt_json(
        row["content"], row["kind"], row["diagnosis"], str(row["time"])
    )
    return content


def add_opinion(vault: Vault, id: str, opinion: Opinion) -> Opinion:
    """Save an opinion; returns it with its time.

    Raises:
        Refused: it is not valid (400), there is no such diagnosis (404), or it was forgotten (410).
    """
    check_opinion(opinion, tuple(load(vault, id).probabilities))
    content = {name: value for name, value in asdict(opinion).items() if name not in ("time", "standing")}
    with vault.database.writing() as db:
        return replace(opinion, time=to_iso(add_event(vault, db, id, OPINION, content)))


def withdraw_opinion(vault: Vault, id: str, who: str) -> None:
    """Withdraw a clinician's opinion: none of that clinician's counts until there is a new one.

    Raises:
        Refused: the clinician has none that counts, or there is no such diagnosis (404), or it was forgotten
            (410).
    """
    with vault.database.writing() as db:
        opinions = opinions_of(events(vault, db, id, OPINION, WITHDRAWAL))
        if not any(each.who == who and each.counts for each in opinions):
            raise Refused("unknown", "There is no opinion of yours to withdraw", remedy="Load the page again")
        add_event(vault, db, id, WITHDRAWAL, {"who": who})


def list_opinions(vault: Vault, id: str) -> list[Opinion]:
    """The opinions on a diagnosis, oldest first, each with its standing."""
    with vault.database.reading() as db:
        return opinions_of(events(vault, db, id, OPINION, WITHDRAWAL))


def opinions_of(events: Iterable[Mapping[str, Any]]) -> list[Opinion]:
    """The opinions in the events of a diagnosis, oldest first; of each clinician only the latest counts."""
    found: list[Opinion] = []
    latest: dict[str, int] = {}
    for event in events:
        who, withdrawn = event["who"], event["kind"] == WITHDRAWAL
        if (before := latest.pop(who, None)) is not None:
            found[before] = replace(found[before], standing="withdrawn" if withdrawn else "replaced")
        if not withdrawn:
            latest[who] = len(found)
            found.append(Opinion(**{name: value for name, value in event.items() if name != "kind"}))
    return found
