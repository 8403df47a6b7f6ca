"""Walks the folders of a data set, without what operating systems and network drives put there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dermafed.shared.errors import DatasetError

_SYSTEM_FOLDERS = {
    "#recycle",
    "#snapshot",
    "~snapshot",
    "__macosx",
    "__pycache__",
    "_vti_cnf",
    "config.msi",
    "lost+found",
    "lost.dir",
    "msdownld.tmp",
    "network trash folder",
    "onedrivetemp",
    "recycle bin",
    "recycle.bin",
    "recycled",
    "recycler",
    "system volume information",
    "temporary items",
    "trash",
}
_FOUND = re.compile(r"found\.\d{3}", re.IGNORECASE)  # what Windows repaired


def is_system_folder(name: str) -> bool:
    """Whether a folder is a system's own: hidden, a recycle bin, ``@eaDir`` of a network drive and others."""
    known = name.casefold() in _SYSTEM_FOLDERS or _FOUND.fullmatch(name) is not None
    return known or name.startswith((".", "@", "$"))


def walk_files(root: Path, system_folders: list[Path] | None = None) -> Iterator[Path]:
    """All files below a folder but hidden ones and those in system folders, in order of name.

    Links are followed, each folder is entered once.

    Args:
        root: the folder.
        system_folders: takes the system folders that were not entered, except hidden ones.

    Raises:
        DatasetError: a folder cannot be read.
    """
    entered: set[Path] = set()
    for folder, subfolders, names in os.walk(root, onerror=_refuse, followlinks=True):
        real = Path(folder).resolve()
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        if system_folders is not None:
            system = sorted(name for name in subfolders if is_system_folder(name) and name[0] != ".")
            system_folders.extend(Path(folder, name) for name in system if name != "__MACOSX")
        subfolders[:] = sorted(name for name in subfolders if not is_system_folder(name))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def _refuse(error: OSError) -> None:
    raise DatasetError(
        f"cannot be read: {error.strerror}", where=error.filename, remedy="Check your permission to read it"
    ) from error
