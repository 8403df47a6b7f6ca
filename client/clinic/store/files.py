"""The sealed files of the store: pictures too large for its database."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dermafed.client.clinic.store.seal import Seal, Unsealable
from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import FILE_MODE, unwritable

IMAGE, PREPARED, OBJECT = KINDS = ("image", "prepared", "object")


@dataclass(frozen=True, slots=True)
class SealedFiles:
    """Files by id and kind, each sealed for just these two.

    A file counts only while the database has its id, so that none needs a temporary name: one that was half
    written when its process died belongs to nobody, and is swept away.
    """

    folder: Path
    seal: Seal

    def write(self, id: str, parts: Mapping[str, bytes]) -> None:
        """Write the files of an id, by kind; they are on the disk when this returns.

        Raises:
            StorageError: they cannot be written.
        """
        try:
            for kind, data in parts.items():
                _write_through(self._path(id, kind), self.seal.close(data, kind, id))
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def read(self, id: str, kind: str) -> bytes:
        """The content of a file.

        Raises:
            StorageError: it is missing, damaged, or that of another id or kind.
        """
        path = self._path(id, kind)
        try:
            return self.seal.open(path.read_bytes(), kind, id)
        except FileNotFoundError:
            what = "A file of the store is missing"
        except OSError as error:
            what = f"A file of the store cannot be read: {error.strerror}"
        except Unsealable:
            what = "A file of the store is damaged, or lies in another's place"
        raise StorageError(what, where=path, remedy="Restore the store from your backup")

    def remove(self, *ids: str) -> None:
        """Remove the files of ids, if there are any.

        Raises:
            StorageError: they cannot be removed.
        """
        self._remove(self._path(id, kind) for id in ids for kind in KINDS)

    def sweep(self, kept: Collection[str]) -> None:
        """Remove the files of all other ids.

        Raises:
            StorageError: they cannot be removed.
        """
        names = os.listdir(self.folder)  # noqa: PTH208  (of hundred thousands, paths would take seconds)
        self._remove(self.folder / name for name in names if name.partition(".")[0] not in kept)

    def _remove(self, paths: Iterable[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def _path(self, id: str, kind: str) -> Path:
        return self.folder / f"{id}.{kind}"


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on the disk: files that are there may else be gone after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
