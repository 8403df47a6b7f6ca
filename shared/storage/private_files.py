"""Files and folders that nobody but their owner may read, from their first byte on."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import unwritable

FILE_MODE, FOLDER_MODE = 0o600, 0o700


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, in full or not at all.

    Raises:
        StorageError: it cannot be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; one that is there is closed to others.

    Raises:
        StorageError: it cannot be made, or belongs to somebody else.
    """
    try:
        folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise unwritable(error, folder) from error


def check_private(path: Path) -> None:
    """Refuse what others may read or change.

    Raises:
        StorageError: it is not there, belongs to somebody else, or others have access.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise StorageError(
            f"Cannot read: {error.strerror}",
            where=path,
            remedy="Restore it from your backup, or check the path",
        ) from error
    if status.st_uid != os.geteuid():
        raise StorageError("This belongs to another user", where=path, remedy="Run the command as its owner")
    if status.st_mode & 0o077:
        raise StorageError("Others may read this", where=path, remedy=f"Run: chmod go= {path}")
