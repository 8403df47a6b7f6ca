"""Which diagnoses wait for their answers to be sent: an empty file each, so that a restart forgets none."""

from __future__ import annotations

import re
import time
from pathlib import Path

from dermafed.shared.storage.atomic_files import make_folder, write_atomically

_ID = re.compile(r"[0-9a-f]{32}")


class Outbox:
    """A folder of what is still to be sent; safe for many threads."""

    def __init__(self, folder: Path) -> None:
        """Opens it.

        Args:
            folder: made if it is not there.

        Raises:
            StorageError: it cannot be made.
        """
        make_folder(folder)
        self._folder = folder

    def add(self, id: str) -> None:
        """A diagnosis's answers are to be sent; on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        write_atomically(self._folder / id, b"")

    def waiting(self) -> list[tuple[str, float]]:
        """What waits, and for how many seconds; the longest first."""
        files = [path for path in self._folder.iterdir() if _ID.fullmatch(path.name)]
        return sorted(((path.name, _age(path)) for path in files), key=lambda each: -each[1])

    def done(self, id: str) -> None:
        """A diagnosis's answers wait no longer."""
        (self._folder / id).unlink(missing_ok=True)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
