"""What is still to be sent back, on the disk."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

from dermafed.shared.storage.atomic_files import make_folder, write_atomically

_ID = re.compile(r"[0-9a-f]{32}")


class Outbox:
    """A folder with a file for each diagnosis whose answers wait; safe for many threads.

    The file is empty, or says why the answers could not be made.
    """

    def __init__(self, folder: Path) -> None:
        """Open it.

        Args:
            folder: made if it is missing.

        Raises:
            StorageError: it cannot be made.
        """
        make_folder(folder)
        self._folder = folder

    def add(self, id: str) -> None:
        """Add a diagnosis whose answers are to be sent; on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        write_atomically(self._folder / id, b"")

    def add_failure(self, id: str, why: str) -> None:
        """Note that the answers of a diagnosis could not be made; they wait as if added now.

        Args:
            id: of the diagnosis.
            why: names nobody: a code, or the type of an error.

        Raises:
            StorageError: it cannot be written.
        """
        write_atomically(self._folder / id, why.encode())

    def waiting(self) -> list[tuple[str, float]]:
        """The ids that wait, and for how many seconds; oldest first."""
        found = []
        for path in self._files():
            with suppress(FileNotFoundError):  # sent meanwhile
                found.append((path.name, time.time() - path.stat().st_mtime))
        return sorted(found, key=lambda each: -each[1])

    def failures(self) -> dict[str, str]:
        """The ids whose answers could not be made, and why."""
        found = {}
        for path in self._files():
            with suppress(FileNotFoundError):
                found[path.name] = path.read_text("utf-8", "replace")
        return {id: why for id, why in found.items() if why}

    def remove(self, id: str) -> None:
        """Remove a diagnosis: its answers wait no longer."""
        (self._folder / id).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if _ID.fullmatch(path.name)]
