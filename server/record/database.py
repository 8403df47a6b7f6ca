"""The record's file: its tables, and transactions that two processes may hold at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import SettingsError, StorageError
from shared.files import unwritable
from shared.private_files import FILE_MODE

VERSION = 1
_BUSY_SECONDS = 30.0
_LEAST_FREE = 2**20  # bytes; a connection needs some for the files that SQLite puts beside its own

_TABLES = """
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


class Record:
    """The file, opened afresh for each transaction, so that any thread may use it.

    Args:
        path: a file made by :meth:`create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> Record:
        """Make an empty record.

        Raises:
            StorageError: it is there already, or cannot be written.
        """
        try:
            # SQLite's own files beside it take its mode.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        except OSError as error:
            raise unwritable(error, path) from error
        record = cls(path)
        with record._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        return record

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A view of one moment.

        Raises:
            StorageError: the record cannot be read.
        """
        with self._connected() as connection:
            self._check_version(connection)
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is on disk at the end, or nothing.

        Raises:
            StorageError: the record cannot be written.
        """
        with self._connected() as connection:
            self._check_version(connection)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep the files that SQLite puts beside its own: on a full disk, nobody could make them to read."""
        with self._connected() as connection:
            self._check_version(connection)
            yield

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw", _BUSY_SECONDS, isolation_level=None, uri=True
            )
            try:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()  # rolls back what was not committed
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StorageError:
        """What it means; on a full disk SQLite cannot even read, and says no more than that it cannot."""
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or _is_full(self.path)
        return StorageError(
            f"The record cannot be used: {'the disk is full' if full else error}",
            where=self.path,
            remedy="Free some disk space" if full else "Check the disk and the file, or restore your backup",
        )

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise SettingsError(
                f"The record is of version {version}, not {VERSION}",
                where=self.path,
                remedy="Use the version of dermafed that made it",
            )


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_FREE
    except OSError:
        return False


def now() -> str:
    """This moment as the record keeps it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
