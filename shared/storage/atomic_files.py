"""Write files in full or not at all, private ones readable for their owner only."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dermafed.shared.errors import StorageError

FILE_MODE, FOLDER_MODE = 0o600, 0o700
"""Of private files and folders: only their owner can read them, and enter them."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a sudden death, finds the old content or the new, never a part.

    Args:
        path: the file; its folder exists.
        data: the whole content.

    Raises:
        StorageError: the disk is full or the folder cannot be written; ``path`` is as it was.
    """
    _write(path, data)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on; else as :func:`write_atomically`."""
    _write(path, data, private=True)


def _write(path: Path, data: bytes, *, private: bool = False) -> None:
    # The same folder, since a rename is atomic within one file system only.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE if private else 0o666)
        with os.fdopen(descriptor, "wb") as file:
            if private:
                os.fchmod(descriptor, FILE_MODE)  # whatever the umask
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(error, path) from error
    finally:
        with suppress(OSError):  # it is gone after a rename, and never existed where the folder is a file
            temporary.unlink()


def append(path: Path, data: bytes, after: int | None = None) -> None:
    """Add to the end of a file; it is on the disk when this returns.

    Args:
        path: the file.
        data: what is added; after a sudden death the file may have a part of it.
        after: bytes of the file that stay: what comes after them is cut off first. All by default.

    Raises:
        StorageError: the disk is full or the file cannot be written; what stays is as it was.
    """
    try:
        with path.open("r+b") as file:
            if after is not None:
                file.truncate(after)
            file.seek(0, os.SEEK_END)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(error, path) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it exists.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder) from error


def unwritable(error: OSError, where: object) -> StorageError:
    """The error for a file or folder that could not be written."""
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


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The text of a CSV file: a header, then the rows' cells by column."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; one that exists is closed to others.

    Raises:
        StorageError: it cannot be made, or belongs to another user.
    """
    try:
        folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise unwritable(error, folder) from error


def check_private(path: Path) -> None:
    """Check that a file or folder is private.

    Raises:
        StorageError: it does not exist, belongs to another user, or others may read or change it.
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
