"""The record of a federation: its SQLite file and tables."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from dermafed.shared.storage.database import Database


class Record(Database):
    """The database that a federation's server and its commands share."""

    name = "record"
    version = 1
    tables = """
CREATE TABLE clinics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
    enrolled TEXT NOT NULL, revoked TEXT, online TEXT
);
CREATE UNIQUE INDEX one_key_a_clinic ON clinics (name) WHERE revoked IS NULL;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, plan TEXT NOT NULL, plan_path TEXT NOT NULL,
    clinics TEXT NOT NULL, offer TEXT NOT NULL, hash TEXT NOT NULL, class_counts TEXT,
    status TEXT NOT NULL, why TEXT NOT NULL DEFAULT '', asked TEXT NOT NULL, started TEXT, ended TEXT,
    rounds INTEGER NOT NULL, rounds_done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE rounds (
    run INTEGER NOT NULL REFERENCES runs, round INTEGER NOT NULL, ended TEXT NOT NULL, figures TEXT NOT NULL,
    PRIMARY KEY (run, round)
);
CREATE TABLE answers (
    run INTEGER NOT NULL REFERENCES runs, clinic TEXT NOT NULL, decision TEXT NOT NULL,
    reason TEXT NOT NULL, heard TEXT NOT NULL, PRIMARY KEY (run, clinic)
);
"""


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether a table is there that is made when it is first needed."""
    found = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
    return found.fetchone() is not None


def now() -> str:
    """The current time in the record's form: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
