"""The table of queries of counts: what was asked, and when it was answered."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal, get_args

from dermafed.server.record.record_database import Record, now
from dermafed.shared.errors import SettingsError

QueryKind = Literal["lesions", "drift"]

QUERY_KINDS: tuple[QueryKind, ...] = get_args(QueryKind)

_TABLE = """CREATE TABLE IF NOT EXISTS queries (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, asked TEXT NOT NULL, ended TEXT,
    why TEXT NOT NULL DEFAULT ''
)"""
"""Made with the first query: a record of version 0.1.0 has none, and is the same to that version."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query of counts.

    Attributes:
        number: from 1, in the order of the requests.
        kind: what is asked.
        asked: time of the request, UTC.
        ended: time of its end, UTC; ``None``: the server has not asked the clinics yet, or still waits.
        why: the reason, where it failed.
    """

    number: int
    kind: QueryKind
    asked: str
    ended: str | None
    why: str


def add_query(record: Record, kind: QueryKind) -> int:
    """Add a query, for the server to ask; returns its number.

    Raises:
        StorageError: the record cannot be written.
    """
    with record.writing() as db:
        db.execute(_TABLE)
        added = db.execute("INSERT INTO queries (kind, asked) VALUES (?, ?)", (kind, now()))
    assert added.lastrowid is not None
    return added.lastrowid


def find_query(record: Record, number: int) -> Query:
    """A query by its number.

    Raises:
        SettingsError: there is no such query.
    """
    found = [query for query in list_queries(record) if query.number == number]
    if not found:
        raise SettingsError(f"There is no query {number}", where=record.path.parent)
    return found[0]


def list_queries(record: Record) -> list[Query]:
    """All queries by number."""
    with record.reading() as db:
        return (
            [_query(row) for row in db.execute("SELECT * FROM queries ORDER BY number")]
            if _exists(db)
            else []
        )


def end_query(record: Record, number: int, why: str = "") -> None:
    """Note the end of a query, and why it failed if it did."""
    with record.writing() as db:
        db.execute("UPDATE queries SET ended = ?, why = ? WHERE number = ?", (now(), why, number))


def _query(row: sqlite3.Row) -> Query:
    return Query(**dict(row))


def _exists(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'queries'").fetchone() is not None
