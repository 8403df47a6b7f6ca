"""The exceptions of DermaFed.

::

    DermaFedError                  exit code 1: the command failed
    ├── InputError                 exit code 2: what the user gave cannot be used
    │   ├── DatasetError           a manifest, a label, a split
    │   ├── ImageError             one image file
    │   ├── SettingsError          an option or a settings file
    │   ├── ModelError             a model or weights file
    │   ├── StorageError           a folder, file or disk that cannot be used
    │   └── Refused                what came to a clinic from outside (dermafed.client.clinic.intake.refusals)
    └── FederationError            a run that cannot go on
"""

from __future__ import annotations

_LONGEST = 2000  # characters of each part of an error


class DermaFedError(Exception):
    """Base of every error DermaFed raises on purpose.

    Args:
        what: what is wrong, as a sentence without a full stop.
        where: the file, field and row it is about, if any.
        remedy: what to do about it, as a sentence without a full stop.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = map(_quotable, (what, str(where), remedy))
        super().__init__(self.what, self.where, self.remedy)

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        remedy = f" {self.remedy}." if self.remedy else ""
        return f"{self.what}{place}.{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _quotable(text: str) -> str:
    """A text that may quote what others wrote: cut, and with the escapes of all that a terminal obeys."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    if short.isprintable():
        return short
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)


def _rebuild(kind: type[DermaFedError], what: str, where: str, remedy: str) -> DermaFedError:
    return kind(what, where=where, remedy=remedy)


class InputError(DermaFedError):
    """What the user gave cannot be used; nothing has been half-written."""

    exit_code = 2


class DatasetError(InputError):
    """A manifest, label file, folder layout or split that cannot be used."""


class ImageError(InputError):
    """An image file that cannot be read."""


class SettingsError(InputError):
    """An option or a settings file that cannot be used."""


class ModelError(InputError):
    """A model or weights file that cannot be used."""


class StorageError(InputError):
    """A file or folder that cannot be read or written, or a disk that is full."""


class FederationError(DermaFedError):
    """A federated run that cannot go on."""
