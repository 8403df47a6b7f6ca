"""The parts of an open store, and how it is opened: key, database, sealed files."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.files import SealedFiles
from dermafed.client.clinic.store.key import make_key, read_key
from dermafed.client.clinic.store.seal import Seal, Unsealable
from dermafed.client.clinic.store.tables import KEY_CHECK, StoreDatabase
from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import make_private_folder
from dermafed.shared.storage.lock import lock_folder

KEY, DATABASE, FILES = "store.key", "store.sqlite", "files"


@dataclass(frozen=True, slots=True)
class Vault:
    """What every part of the store works with."""

    database: StoreDatabase
    files: SealedFiles
    seal: Seal

    def open_json(self, sealed: bytes, *place: str) -> Any:
        """What a row of the database says, in JSON types.

        Raises:
            StorageError: it was changed, or lies in another's place.
        """
        try:
            return self.seal.open_json(sealed, *place)
        except Unsealable as error:
            raise StorageError(
                "The store's database was changed, or is damaged",
                where=self.database.path,
                remedy="Restore the store from your backup",
            ) from error


def open_vault(folder: Path) -> Vault:
    """Open the store in a folder, made at first use; what a sudden death left behind is swept away.

    Raises:
        StorageError: a part is missing or damaged, the key is another's, or the disk fails.
    """
    make_private_folder(folder)
    with lock_folder(folder):
        database, key = StoreDatabase(folder / DATABASE), folder / KEY
        make_private_folder(folder / FILES)
        if not database.path.exists():
            _make(database.path, key, folder / FILES)
        seal = read_key(key)
        database.complete()
        _check_key(database, seal, key)
    vault = Vault(database, SealedFiles(folder / FILES, seal), seal)
    _sweep(vault)
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
    """The answer to whoever asks for what is no longer kept."""
    return Refused(
        "no-longer-kept",
        "This is no longer kept at the clinic",
        remedy="Send the image again, if it is still needed",
    )


def _make(database: Path, key: Path, files: Path) -> None:
    """A new store, unless this is what is left of an old one."""
    if any(files.iterdir()):
        raise StorageError("The store's database is missing", where=database, remedy="Restore your backup")
    if not key.exists():
        make_key(key)
    StoreDatabase.create(database)


def _check_key(database: StoreDatabase, seal: Seal, key: Path) -> None:
    """Refuse a key that did not seal this database; a new database learns its key."""
    with database.reading() as db:
        row = db.execute("SELECT value FROM about WHERE name = ?", (KEY_CHECK,)).fetchone()
    if row is None:
        with database.writing() as db:
            db.execute("INSERT INTO about VALUES (?, ?)", (KEY_CHECK, seal.close(b"", KEY_CHECK)))
        return
    try:
        seal.open(row["value"], KEY_CHECK)
    except Unsealable as error:
        raise StorageError(
            "This is not the key of this store",
            where=key,
            remedy="Restore the key that belongs to it from your backup; nothing was changed",
        ) from error


def _sweep(vault: Vault) -> None:
    """In a transaction, so that nobody is keeping a diagnosis meanwhile."""
    with vault.database.writing() as db:
        kept = db.execute("SELECT id FROM diagnoses WHERE pictures UNION SELECT id FROM quarantine")
        vault.files.sweep({row["id"] for row in kept})
    vault.database.erase_traces()
