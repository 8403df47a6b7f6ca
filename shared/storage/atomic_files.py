"""Files that are either there in full or not there at all."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dermafed.shared.errors import StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a sudden death, finds the old content or the new, never a part.

    Args:
        path: the file; its folder exists.
        data: the whole content.

    Raises:
        StorageError: the disk is full or the folder cannot be written; ``path`` is as it was.
    """
    # The same folder, since a rename is atomic within one file system only.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(error, path) from error
    finally:
        with suppress(OSError):  # it is gone after a rename, and never was where the folder is no folder
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder) from error


def unwritable(error: OSError, where: object) -> StorageError:
    """What to tell the user of a file or folder that could not be written."""
    remedy = "Free some disk space" if is_disk_full(error) else "Choose a folder that can be written"
    return StorageError(f"Cannot write: {error.strerror}", where=where, remedy=remedy)


def is_disk_full(error: OSError) -> bool:
    """Whether space, or the user's share of it, has run out."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as readable JSON, atomically.

    Args:
        path: the file; its folder exists.
        content: strings, numbers, booleans, ``None``, lists and mappings of these.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have (use ``None``).
        StorageError: the file cannot be written.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(path, f"{text}\n".encode())
