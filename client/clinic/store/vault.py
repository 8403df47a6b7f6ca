"""The parts of an open store, and how it is opened: database, encrypted files, key."""

from __future__ import annotations

import logging
import sqlite3
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
from dermafed.client.clinic.store.store_database import StoreDatabase
from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import make_private_folder
from dermafed.shared.storage.lock import lock_folder

KEY_CHECK = "key"
_START = datetime(1970, 1, 1, tzinfo=UTC)

KEY, DATABASE, FILES = "store.key", "store.sqlite", "files"

log = logging.getLogger("dermafed.store")


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
        except (DecryptionError, TypeError) as error:
            raise StorageError(
                "The store's database was changed, or is damaged",
                where=self.database.path,
                remedy="Restore the store from your backup",
            ) from error


def open_vault(folder: Path, *, new: bool = True) -> Vault:
    """Open the store in a folder; what a killed process left half written is removed.

    Args:
        folder: the store's folder.
        new: whether it is made, if there is none.

    Raises:
        StorageError: a part is missing or damaged, the key is another's, or the disk fails.
    """
    if not folder.exists() and interrupted_restore(folder).exists():
        raise StorageError(
            "A restore was interrupted", where=folder, remedy="Run it again: fl-client restore BACKUP"
        )
    make_private_folder(folder)
    with lock_folder(folder):
        database, key = StoreDatabase(folder / DATABASE), folder / KEY
        make_private_folder(folder / FILES)
        _refuse_lost_database(database, folder / FILES)
        if not database.path.exists():
            _make(database.path, key)
        cipher = read_key(key)
        database.complete()
        _check_key(database, cipher, key, new)
    vault = Vault(database, EncryptedFiles(folder / FILES, cipher), cipher)
    _remove_leftovers(vault)
    return vault


def interrupted_restore(folder: Path) -> Path:
    """The folder in which a backup of a store is checked before it takes the store's place."""
    return folder.with_name(f"{folder.name}.restoring")


def list_ids(vault: Vault) -> list[str]:
    """The ids of all diagnoses, oldest first."""
    with vault.database.reading() as db:
        return [row["id"] for row in db.execute("SELECT id FROM diagnoses ORDER BY made, rowid")]


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


def _refuse_lost_database(database: StoreDatabase, files: Path) -> None:
    """Refuse a missing or empty database where files of an old one are left; nothing is written."""
    wal = database.path.with_name(f"{database.path.name}-wal")
    if not any(files.iterdir()) and not (wal.exists() and wal.stat().st_size):
        return
    if not database.path.exists():
        raise _lost(database.path, "missing")
    if not database.path.stat().st_size:  # SQLite would take it for a new one, and drop its log
        raise _lost(database.path, "empty")
    with database.connected() as connection:
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            raise _lost(database.path, "empty")


def _lost(database: Path, how: str) -> StorageError:
    return StorageError(
        f"The store's database is {how}, but images are there; nothing was changed",
        where=database,
        remedy="Restore your backup: fl-client restore BACKUP",
    )


def _make(database: Path, key: Path) -> None:
    """Make a new store."""
    if not key.exists():
        make_key(key)
    StoreDatabase.create(database)


def _check_key(database: StoreDatabase, cipher: StoreCipher, key: Path, new: bool) -> None:
    """Refuse a key that is not this database's; a new database stores a check of its key."""
    with database.reading() as db:
        row = db.execute("SELECT value FROM about WHERE name = ?", (KEY_CHECK,)).fetchone()
    if row is None and new:
        with database.writing() as db:
            db.execute("INSERT INTO about VALUES (?, ?)", (KEY_CHECK, cipher.encrypt(b"", KEY_CHECK)))
        return
    try:
        cipher.decrypt(b"" if row is None else row["value"], KEY_CHECK)
    except DecryptionError as error:
        raise StorageError(
            "This is not the key of this store",
            where=key,
            remedy="Restore the key that belongs to it from your backup; nothing was changed",
        ) from error


def _remove_leftovers(vault: Vault) -> None:
    """Remove half written files, in a transaction, so that no diagnosis is being saved meanwhile."""
    with vault.database.writing() as db:
        known = _ids(db, "SELECT id FROM diagnoses WHERE pictures UNION SELECT id FROM quarantine")
        gone = _ids(db, "SELECT id FROM diagnoses WHERE NOT pictures UNION SELECT id FROM forgotten")
        if unknown := vault.files.sweep(known, gone):
            if not known and not gone:
                raise _lost(vault.database.path, "empty")
            log.error(
                "%s files of the store belong to no diagnosis: the database may be an old copy", unknown
            )
    vault.database.erase_traces()


def _ids(db: sqlite3.Connection, query: str) -> set[str]:
    return {row["id"] for row in db.execute(query)}
