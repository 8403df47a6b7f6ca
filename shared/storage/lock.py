"""Lock a folder, so that only one process at a time works in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dermafed.shared.errors import SettingsError
from dermafed.shared.storage.atomic_files import make_folder

try:
    import fcntl
except ImportError:  # not POSIX: two processes on one folder are then the user's care
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".lock"

# A process that trains an arm notices its parent's death, and ends, within half a second.
PATIENCE_SECONDS = 5.0


@contextmanager
def lock_folder(folder: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Lock a folder for this process; the lock of a killed process goes with it.

    Args:
        folder: the folder to lock; made if it does not exist.
        patience: seconds to wait for another process; may be infinite.

    Raises:
        SettingsError: another process works in the folder.
    """
    make_folder(folder)
    with (folder / LOCK_FILE).open("w") as file:
        deadline = time.monotonic() + patience
        while fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise SettingsError(
                        "Another process works in this folder", where=folder, remedy="Wait for it, or stop it"
                    ) from error
                time.sleep(0.1)
        yield


def is_locked(folder: Path) -> bool:
    """Whether another process has locked the folder; unknown, and so ``False``, where it is not POSIX."""
    path = folder / LOCK_FILE
    if fcntl is None or not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
