"""Names of clinics, federations and runs: short enough for a table, plain enough for a file name."""

from __future__ import annotations

import re

from dermafed.shared.errors import SettingsError

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_name(name: str, what: str) -> str:
    """Give the name back, or refuse it.

    Args:
        name: what the user calls it.
        what: what is named, for the message: ``clinic``, ``federation`` or ``run``.

    Raises:
        SettingsError: it is empty, long, or has characters that a path or a table could stumble over.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is no name for a {what}",
            where=what,
            remedy="Use 1 to 63 letters, digits, dots, dashes or underscores, a letter or digit first",
        )
    return name


def slug(title: str) -> str:
    """A title as the name of a folder: ``with BM3D and CLAHE`` becomes ``with-BM3D-and-CLAHE``."""
    return _UNSAFE.sub("-", title)
