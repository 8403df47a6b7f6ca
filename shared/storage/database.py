"""One SQLite file: its tables, and transactions that threads and processes may run at the same time."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self

from dermafed.shared.errors import SettingsError, StorageError
from dermafed.shared.storage.atomic_files import FILE_MODE, unwritable

_BUSY_SECONDS = 30.0
_LEAST_FREE = 2**20  # bytes; a connection needs some for the files that SQLite puts beside its own


class Database:
    """A SQLite file, opened anew for each transaction, so that any thread may use it.

    Args:
        path: a file made by :meth:`create`.

    Attributes:
        name: the database's name in messages.
        version: version of the tables.
        tables: SQL that makes the tables.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    tables: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the file with empty tables.

        Raises:
            StorageError: it is there already, or cannot be written.
        """
        try:
            # SQLite's own files beside it take its mode.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask
            os.close(descriptor)
        except OSError as error:
            raise unwritable(error, path) from error
        made = cls(path)
        made.complete()
        return made

    def complete(self) -> None:
        """Make what is missing because the process died in :meth:`create`.

        Raises:
            StorageError: the file cannot be written.
        """
        with self.connected() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if not version:
                connection.executescript(
                    f"BEGIN; {self.tables} PRAGMA user_version = {self.version}; COMMIT;"
                )
            connection.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that reads the state of one moment.

        Raises:
            StorageError: the file cannot be read.
        """
        with self.connected() as connection:
            self._check_version(connection)
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes, one at a time: all of it is on disk at the end, or nothing.

        Raises:
            StorageError: the file cannot be written.
        """
        with self.connected() as connection:
            self._check_version(connection)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def stay_open(self) -> Iterator[None]:
        """Keep the files that SQLite puts beside its own: on a full disk, they could not be made to read."""
        with self.connected() as connection:
            self._check_version(connection)
            yield

    @contextmanager
    def changes(self) -> Iterator[Callable[[], bool]]:
        """What tells whether another connection has written since it was asked last; at first, that one has.

        Raises:
            StorageError: the file cannot be read.
        """
        last = -1
        with self.connected() as connection:
            self._check_version(connection)

            def changed() -> bool:
                nonlocal last
                before = last
                (last,) = connection.execute("PRAGMA data_version").fetchone()
                return bool(last != before)

            yield changed

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection without a transaction.

        Raises:
            StorageError: SQLite failed.
        """
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                _BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
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
        """The error to raise; on a full disk SQLite cannot even read, and reports only that it cannot."""
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or _is_full(self.path)
        return StorageError(
            f"The {self.name} cannot be used: {'the disk is full' if full else error}",
            where=self.path,
            remedy="Free some disk space" if full else "Check the disk and the file, or restore your backup",
        )

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != self.version:
            raise SettingsError(
                f"The {self.name} has version {version}, not {self.version}",
                where=self.path,
                remedy="Use the version of dermafed that made it",
            )


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_FREE
    except OSError:
        return False
