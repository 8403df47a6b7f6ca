"""Check names of clinics, federations and runs: short enough for a table, safe as a file name."""

from __future__ import annotations

import re

from dermafed.shared.errors import SettingsError

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_name(name: str, what: str) -> str:
    """Return the name if it is valid.

    Args:
        name: the name that the user gave.
        what: the kind of thing that it names, for the message: ``clinic``, ``federation`` or ``run``.

    Raises:
        SettingsError: it is empty, too long, or has characters that are not safe in a path.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is not a valid name for a {what}",
            where=what,
            remedy="Use 1 to 63 letters, digits, dots, dashes or underscores, a letter or digit first",
        )
    return name


def slug(title: str) -> str:
    """A title as the name of a folder: ``with BM3D and CLAHE`` becomes ``with-BM3D-and-CLAHE``."""
    return _UNSAFE.sub("-", title)
