"""The store's key file: made once, never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from dermafed.client.clinic.store.seal import KEY_BYTES, Seal
from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import check_private, write_private

_RESTORE = "Restore it from your backup; without it, nobody can read what is kept"


def make_key(path: Path) -> None:
    """Write a new key, 64 hexadecimal digits, to a file that is not there.

    Raises:
        StorageError: the file cannot be written.
    """
    write_private(path, f"{os.urandom(KEY_BYTES).hex()}\n".encode())


def read_key(path: Path) -> Seal:
    """The seal of a key file.

    Raises:
        StorageError: it is missing, damaged, or others may read it.
    """
    if not path.exists():
        raise StorageError("The store's key is missing", where=path, remedy=_RESTORE)
    check_private(path)
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError):
        key = b""  # the cause of this error would show a part of the key
    if len(key) != KEY_BYTES:
        raise StorageError("The store's key is damaged", where=path, remedy=_RESTORE)
    return Seal(key)
