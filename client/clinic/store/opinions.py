"""Clinicians' opinions on diagnoses, who looked at them, and the events that store both."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.diagnoses import load
from dermafed.client.clinic.store.vault import Vault, find_row, now, to_iso

OTHER = "other"
CONFIRMATIONS = ("histopathology", "follow-up", "consensus")
_LONGEST_REASON, _LONGEST_NAME = 2000, 100

# Kinds of events, as they stand in the database: events are added, and never changed.
VIEW, OPINION, REVIEW = "looked", "said", "reviewed"


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
    """

    who: str
    agrees: bool
    label: str | None = None
    reason: str = ""
    confirmed_by: str | None = None
    time: str = ""

    @property
    def needs_review(self) -> bool:
        """Whether it disagrees, or confirms the diagnosis: something to train with."""
        return not self.agrees or self.confirmed_by is not None

    def describe(self) -> str:
        """The opinion on a line."""
        verdict = "agrees" if self.agrees else f"says {self.label}"
        confirmed = f", confirmed by {self.confirmed_by}" if self.confirmed_by else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.who} {verdict}{confirmed}{reason}"


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


def events(vault: Vault, db: sqlite3.Connection, id: str, kind: str) -> list[dict[str, Any]]:
    """The events of a kind, oldest first, each with its ``number`` and ``time``."""
    find_row(db, id)
    rows = db.execute("SELECT * FROM events WHERE diagnosis = ? AND kind = ? ORDER BY number", (id, kind))
    return [
        {**decrypt_event(vault, row), "number": row["number"], "time": to_iso(row["time"])} for row in rows
    ]


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
    content = {name: value for name, value in asdict(opinion).items() if name != "time"}
    with vault.database.writing() as db:
        return replace(opinion, time=to_iso(add_event(vault, db, id, OPINION, content)))


def list_opinions(vault: Vault, id: str) -> list[Opinion]:
    """The opinions on a diagnosis, oldest first."""
    with vault.database.reading() as db:
        found = events(vault, db, id, OPINION)
    return [Opinion(**{name: value for name, value in each.items() if name != "number"}) for each in found]
