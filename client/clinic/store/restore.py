"""Restore a store from a backup: checked first, then put in the place of the present one, which stays."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dermafed.client.clinic.store.encryption import IMAGE, OBJECT, PREPARED
from dermafed.client.clinic.store.lesions import LATEST, raise_latest
from dermafed.client.clinic.store.retention import forget
from dermafed.client.clinic.store.vault import (
    DATABASE,
    FILES,
    KEY,
    interrupted_restore,
    list_ids,
    open_vault,
)
from dermafed.client.node.home import Home
from dermafed.shared.errors import DermaFedError, StorageError
from dermafed.shared.storage.atomic_files import make_private_folder, unwritable, write_private
from dermafed.shared.storage.lock import lock_folder


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        diagnoses: number of diagnoses in the restored store.
        missing: how many of their files neither the backup nor the present store has.
        forgotten: how many diagnoses of the backup were forgotten here since, and so again.
        before: the folder in which the store is that was here; ``None`` if there was none.
    """

    diagnoses: int
    missing: int
    forgotten: int
    before: Path | None


def restore_store(home: Home, backup: Path, key: Path | None = None) -> Restored:
    """Put a backup in the place of the clinic's store.

    Images that the backup lacks are taken from the present store, if that has the same key; what was
    forgotten since the backup is forgotten again, and numbers of lesions given since are not given again.

    Args:
        home: the clinic's folder; its node may not serve meanwhile.
        backup: a folder with ``store.sqlite`` and ``files``, and perhaps ``store.key``.
        key: the key's file; by default that of the backup, or else of the present store.

    Raises:
        StorageError: the backup is damaged or has another key, the node serves, or the disk fails; the
            present store is as it was.
    """
    source = backup / DATABASE
    if not source.is_file() or not source.stat().st_size:
        raise StorageError("There is no store in this backup", where=source, remedy="Give another backup")
    make_private_folder(home.serving)
    with lock_folder(home.serving, patience=1.0):
        fresh = interrupted_restore(home.store)
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            _copy(home.store, backup, _find_key(home.store, backup, key), fresh)
            restored = _check(home.store, fresh)
        except (OSError, shutil.Error) as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise unwritable(error, fresh) if isinstance(error, OSError) else error from error
        except DermaFedError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return _swap(home.store, fresh, restored)


def _find_key(store: Path, backup: Path, key: Path | None) -> Path:
    for path in (key,) if key is not None else (backup / KEY, store / KEY):
        if path.is_file():
            return path
    raise StorageError(
        "The key of the backup is missing", where=key or backup / KEY, remedy="Give its file: --key store.key"
    )


def _copy(store: Path, backup: Path, key: Path, fresh: Path) -> None:
    """Copy key, database with its log, and files into a new folder."""
    make_private_folder(fresh)
    make_private_folder(fresh / FILES)
    write_private(fresh / KEY, key.read_bytes())
    for name in (DATABASE, f"{DATABASE}-wal"):
        if (backup / name).is_file():
            write_private(fresh / name, (backup / name).read_bytes())
    folders = [backup / FILES]
    if (store / KEY).is_file() and (store / KEY).read_bytes() == key.read_bytes():
        folders.append(store / FILES)
    for name in _names_of_files(fresh / DATABASE):
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found is not None:
            write_private(fresh / FILES / name, found.read_bytes())


def _names_of_files(database: Path) -> Iterator[str]:
    """The names of the files that a database knows.

    Raises:
        StorageError: it is damaged.
    """
    try:
        with closing(sqlite3.connect(database)) as db:
            fault = db.execute("PRAGMA integrity_check").fetchone()[0]
            if fault != "ok":
                raise sqlite3.DatabaseError(fault)
            ids = [id for (id,) in db.execute("SELECT id FROM diagnoses WHERE pictures")]
            objects = [id for (id,) in db.execute("SELECT id FROM quarantine")]
    except sqlite3.Error as error:
        raise StorageError(
            f"The backup's database is damaged: {error}", where=DATABASE, remedy="Give another backup"
        ) from error
    yield from (f"{id}.{kind}" for id in ids for kind in (IMAGE, PREPARED))
    yield from (f"{id}.{OBJECT}" for id in objects)


def _check(store: Path, fresh: Path) -> Restored:
    """Open the new store, which checks its key, and forget what the present one has forgotten."""
    missing = sum(not (fresh / FILES / name).exists() for name in _names_of_files(fresh / DATABASE))
    vault = open_vault(fresh, new=False)
    again = _forgotten(store / DATABASE) & set(list_ids(vault))
    if again:
        forget(vault, *sorted(again))
    with vault.database.writing() as db:
        raise_latest(db, _latest_lesion(store / DATABASE))
    return Restored(len(list_ids(vault)), missing, len(again), None)


def _forgotten(database: Path) -> set[str]:
    """The ids that the present store has forgotten, as far as it can be read."""
    return {id for (id,) in _read_present(database, "SELECT id FROM forgotten")}


def _latest_lesion(database: Path) -> int:
    """The latest number of a lesion in the present store: a note somewhere may have it, so it stays taken."""
    found = _read_present(database, "SELECT value FROM about WHERE name = ?", LATEST)
    return max((int(value) for (value,) in found), default=0)


def _read_present(database: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()
    except sqlite3.Error:
        return []


def _swap(store: Path, fresh: Path, restored: Restored) -> Restored:
    before = store.with_name(f"{store.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    try:
        if store.exists():
            store.rename(before)
        fresh.rename(store)
    except OSError as error:
        raise unwritable(error, store) from error
    kept = before if before.exists() else None
    return Restored(restored.diagnoses, restored.missing, restored.forgotten, kept)
