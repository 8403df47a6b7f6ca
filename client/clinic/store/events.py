"""What people did with diagnoses: looked, said, reviewed. Events are added, and never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from dermafed.client.clinic.store.diagnoses import get
from dermafed.client.clinic.store.opinion import Look, Opinion, check_opinion
from dermafed.client.clinic.store.tables import in_words, now
from dermafed.client.clinic.store.vault import Vault, find_row

LOOKED, SAID, REVIEWED = "looked", "said", "reviewed"


def add_event(vault: Vault, db: sqlite3.Connection, id: str, kind: str, content: Mapping[str, Any]) -> int:
    """Add an event to a diagnosis; gives its time in milliseconds.

    Raises:
        Refused: there is no such diagnosis (404), or it was forgotten (410).
    """
    find_row(db, id)
    time = now()
    sealed = vault.seal.close_json(content, kind, id, str(time))
    db.execute(
        "INSERT INTO events (diagnosis, time, kind, content) VALUES (?, ?, ?, ?)", (id, time, kind, sealed)
    )
    return time


def events(vault: Vault, db: sqlite3.Connection, id: str, kind: str) -> list[dict[str, Any]]:
    """The events of a kind, the first first, each with its ``number`` and ``time``."""
    find_row(db, id)
    rows = db.execute("SELECT * FROM events WHERE diagnosis = ? AND kind = ? ORDER BY number", (id, kind))
    return [
        {**open_event(vault, row), "number": row["number"], "time": in_words(row["time"])} for row in rows
    ]


def open_event(vault: Vault, row: sqlite3.Row) -> dict[str, Any]:
    """The content of an event."""
    content: dict[str, Any] = vault.open_json(row["content"], row["kind"], row["diagnosis"], str(row["time"]))
    return content


def look(vault: Vault, id: str, who: str) -> None:
    """Somebody looked at a diagnosis."""
    with vault.database.writing() as db:
        add_event(vault, db, id, LOOKED, {"who": who})


def looks(vault: Vault, id: str) -> list[Look]:
    """Who looked, the first first."""
    with vault.database.reading() as db:
        return [Look(each["who"], each["time"]) for each in events(vault, db, id, LOOKED)]


def say(vault: Vault, id: str, opinion: Opinion) -> Opinion:
    """Keep what somebody says; gives it with its time.

    Raises:
        Refused: it cannot be kept (400), there is no such diagnosis (404), or no more (410).
    """
    check_opinion(opinion, tuple(get(vault, id).probabilities))
    content = {name: value for name, value in asdict(opinion).items() if name != "time"}
    with vault.database.writing() as db:
        return replace(opinion, time=in_words(add_event(vault, db, id, SAID, content)))


def opinions(vault: Vault, id: str) -> list[Opinion]:
    """What was said, the first first."""
    with vault.database.reading() as db:
        said = events(vault, db, id, SAID)
    return [Opinion(**{name: value for name, value in each.items() if name != "number"}) for each in said]
