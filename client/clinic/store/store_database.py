"""The SQLite file of the store: its tables, and the erasure of what is deleted."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dermafed.shared.errors import StorageError
from dermafed.shared.storage.database import Database

TRACES = "traces"


class StoreDatabase(Database):
    """The store's tables; contents are encrypted, and times are milliseconds since 1970.

    ``about`` has a text that only the right key decrypts, and whether traces of what was removed may be left.
    In ``diagnoses``, ``asked`` is a keyed digest of device and request, and ``pictures`` says whether the
    encrypted files are there. Events are only ever added: who looked, opinions, results of reviews.
    """

    name = "store"
    version = 1
    tables = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE diagnoses (
    id TEXT PRIMARY KEY, made INTEGER NOT NULL, device TEXT NOT NULL, asked BLOB UNIQUE,
    content BLOB NOT NULL, reference BLOB, pictures INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX diagnoses_by_time ON diagnoses (made);
CREATE TABLE events (
    number INTEGER PRIMARY KEY, diagnosis TEXT NOT NULL REFERENCES diagnoses, time INTEGER NOT NULL,
    kind TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX events_by_diagnosis ON events (diagnosis, kind);
CREATE TABLE forgotten (id TEXT PRIMARY KEY, time INTEGER NOT NULL);
CREATE TABLE quarantine (id TEXT PRIMARY KEY, made INTEGER NOT NULL, device TEXT NOT NULL, why TEXT NOT NULL);
"""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._turn = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Also lets threads take turns: SQLite would let each sleep up to 0.1 s and then try again."""
        with self._turn, super().writing() as connection:
            yield connection

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Also overwrites what is deleted."""
        with super().connected() as connection:
            connection.execute("PRAGMA secure_delete = ON")
            yield connection

    def erase_traces(self) -> None:
        """Write the file anew if something was removed from it, and empty its log.

        ``secure_delete`` alone leaves copies where SQLite once moved a row from page to page.

        Raises:
            StorageError: that failed; the next opening of the store tries again.
        """
        with self.connected() as connection:
            if not connection.execute("SELECT 1 FROM about WHERE name = ?", (TRACES,)).fetchone():
                return
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("VACUUM")
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise StorageError(
                    "Traces of what was removed could not be erased yet: others read the store",
                    where=self.path,
                    remedy="They are erased when the store is opened next",
                )
            connection.execute("DELETE FROM about WHERE name = ?", (TRACES,))


def note_traces(db: sqlite3.Connection) -> None:
    """Note, in the transaction that removes something, that traces of it are left."""
    db.execute("INSERT OR IGNORE INTO about VALUES (?, x'')", (TRACES,))
