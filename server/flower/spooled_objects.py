"""Flower's store of objects in memory, with the large ones in files: all clinics may send a model at once."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

from dermafed.server.flower.private_names import InMemoryObjectStore, ObjectTree
from dermafed.shared.storage.atomic_files import FILE_MODE, make_private_folder

LARGE = 16 * 2**10
"""Bytes from which on an object is in a file; smaller ones are metadata, records and counts."""


class SpooledObjects(InMemoryObjectStore):
    """Flower's store; an object's file is deleted with the object, and those of earlier processes at once.

    Args:
        folder: for the files; readable by its owner only, and nothing else is in it.
        writing: the context in which they are written: Flower says only that an object was not stored.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(
        self, folder: Path, writing: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        super().__init__(verify=False)
        make_private_folder(folder)
        self._folder, self._numbers, self._writing = folder, count(), writing
        for left in folder.iterdir():
            left.unlink()

    def preregister(self, run_id: int, object_tree: ObjectTree) -> list[str]:
        """The objects of a tree that have not arrived; at once, whatever is deleted meanwhile."""
        with self.lock_store:
            return list(super().preregister(run_id, object_tree))

    def put(self, object_id: str, object_content: bytes) -> None:
        """Store an object that was registered."""
        if self.has(object_id):
            return
        large = len(object_content) >= LARGE
        # Flower's store only keeps it.
        kept: Any = self._in_a_file(object_content) if large else object_content
        super().put(object_id, kept)

    def get(self, object_id: str) -> bytes | None:
        """An object's content; empty: it has not arrived; ``None``: it is not registered."""
        content: Any = super().get(object_id)
        return content.read() if isinstance(content, _Spooled) else content

    def small(self, object_id: str) -> bytes:
        """An object's content if it is in memory; empty: it is in a file, or has not arrived."""
        content: Any = super().get(object_id)
        return b"" if content is None or isinstance(content, _Spooled) else content

    def has(self, object_id: str) -> bool:
        """Whether an object has arrived; its content is not read."""
        with self.lock_store:
            entry = self.store.get(object_id)
            return entry is not None and entry.is_available

    def _in_a_file(self, content: bytes) -> _Spooled:
        with self._writing():
            return _Spooled(self._folder / f"{next(self._numbers)}", content)


class _Spooled:
    """Content in a file, which is deleted when nobody refers to it any more."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._delete = weakref.finalize(self, path.unlink, missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def read(self) -> bytes:
        """All of it."""
        return self._path.read_bytes()
