"""The parts of an open store, and how it is opened: database, encrypted files, key."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.encryption import (
    DecryptionError,
    EncryptedFiles,
    StoreCipher,
    make_key,
    read_key,
)
from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import make_private_folder
from dermafed.shared.storage.database import Database
from dermafed.shared.storage.lock import lock_folder

KEY_CHECK, TRACES = "key", "traces"
_START = datetime(1970, 1, 1, tzinfo=UTC)

KEY, DATABASE, FILES = "store.key", "store.sqlite", "files"


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


def to_milliseconds(time: datetime) -> int:
    """A moment as the tables store it."""
    return round(time.timestamp() * 1000)


def now() -> int:
    """This moment as the tables store it."""
    return to_milliseconds(datetime.now(UTC))


def to_iso(time: int) -> str:
    """A moment as diagnoses write it: ISO 8601 in UTC, to the millisecond."""
    return (_START + timedelta(milliseconds=time)).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Vault:
    """The database, the files and the cipher of an open store."""

    database: StoreDatabase
    files: EncryptedFiles
    cipher: StoreCipher

    def decrypt_json(self, encrypted: bytes, *context: str) -> Any:
        """A content of the database, as JSON types.

        Raises:
            StorageError: it was changed, or moved from another row.
        """
        try:
            return self.cipher.decrypt_json(encrypted, *context)
        except DecryptionError as error:
            raise StorageError(
                "The store's database was changed, or is damaged",
                where=self.database.path,
                remedy="Restore the store from your backup",
            ) from error


def open_vault(folder: Path) -> Vault:
    """Open the store in a folder, made at first use; what a killed process left behind is removed.

    Raises:
        StorageError: a part is missing or damaged, the key is another's, or the disk fails.
    """
    make_private_folder(folder)
    with lock_folder(folder):
        database, key = StoreDatabase(folder / DATABASE), folder / KEY
        make_private_folder(folder / FILES)
        if not database.path.exists():
            _make(database.path, key, folder / FILES)
        cipher = read_key(key)
        database.complete()
        _check_key(database, cipher, key)
    vault = Vault(database, EncryptedFiles(folder / FILES, cipher), cipher)
    _remove_leftovers(vault)
    return vault


def find_row(db: sqlite3.Connection, id: str) -> sqlite3.Row:
    """The row of a diagnosis.

    Raises:
        Refused: there is none (404), or it was forgotten (410).
    """
    row: sqlite3.Row | None = db.execute("SELECT * FROM diagnoses WHERE id = ?", (id,)).fetchone()
    if row is None and db.execute("SELECT 1 FROM forgotten WHERE id = ?", (id,)).fetchone():
        raise gone()
    if row is None:
        raise Refused("unknown", "There is no such diagnosis", remedy="Check its id")
    return row


def gone() -> Refused:
    """The refusal of what has expired or was forgotten."""
    return Refused(
        "no-longer-kept",
        "This is no longer stored at the clinic",
        remedy="Send the image again, if it is still needed",
    )


def _make(database: Path, key: Path, files: Path) -> None:
    """Make a new store, unless files of an old one are left."""
    if any(files.iterdir()):
        raise StorageError("The store's database is missing", where=database, remedy="Restore your backup")
    if not key.exists():
        make_key(key)
    StoreDatabase.create(database)


def _check_key(database: StoreDatabase, cipher: StoreCipher, key: Path) -> None:
    """Refuse a key that is not this database's; a new database stores a check of its key."""
    with database.reading() as db:
        row = db.execute("SELECT value FROM about WHERE name = ?", (KEY_CHECK,)).fetchone()
    if row is None:
        with database.writing() as db:
            db.execute("INSERT INTO about VALUES (?, ?)", (KEY_CHECK, cipher.encrypt(b"", KEY_CHECK)))
        return
    try:
        cipher.decrypt(row["value"], KEY_CHECK)
    except DecryptionError as error:
        raise StorageError(
            "This is not the key of this store",
            where=key,
            remedy="Restore the key that belongs to it from your backup; nothing was changed",
        ) from error


def _remove_leftovers(vault: Vault) -> None:
    """Remove files without a row, in a transaction, so that no diagnosis is being saved meanwhile."""
    with vault.database.writing() as db:
        rows = db.execute("SELECT id FROM diagnoses WHERE pictures UNION SELECT id FROM quarantine")
        vault.files.remove_others({row["id"] for row in rows})
    vault.database.erase_traces()
