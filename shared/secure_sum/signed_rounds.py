"""Which rounds' lists a clinic has signed: one of each sum of a round of a plan, ever, in whatever run.

Training is deterministic. If a round were opened for two lists, their difference would be the updates of
those who are in one of them only. So it is on the disk that a list is signed before the signature is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.secure_sum.context import KeyContext
from dermafed.shared.storage.atomic_files import make_private_folder, write_private


class SignedRounds(Protocol):
    """The rounds for which a clinic has signed a list."""

    def check(self, context: KeyContext) -> None:
        """Refuse a sum for which a list was signed already.

        Raises:
            FederationError: it was.
        """

    def add(self, context: KeyContext) -> None:
        """Take down, for good, that a list is signed.

        Raises:
            FederationError: one was before.
        """


@dataclass(frozen=True)
class SignedRoundsFile:
    """The signed rounds in a file of one plan; one process at a time may use it.

    Attributes:
        path: the file; it need not exist yet.
    """

    path: Path

    def check(self, context: KeyContext) -> None:
        """See :class:`SignedRounds`.

        Raises:
            StorageError: the file cannot be read.
        """
        if _name(context) in self._load():
            raise opened_twice(context)

    def add(self, context: KeyContext) -> None:
        """See :class:`SignedRounds`.

        Raises:
            StorageError: the file cannot be read or written; then nothing may be signed.
        """
        self.check(context)
        make_private_folder(self.path.parent)
        names = [*self._load(), _name(context)]
        write_private(self.path, json.dumps(names, indent=2).encode())

    def _load(self) -> list[str]:
        if not self.path.exists():
            return []
        try:
            names = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise self._unreadable() from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._unreadable()
        return names

    def _unreadable(self) -> StorageError:
        return StorageError(
            "The rounds whose sums were opened cannot be read",
            where=self.path,
            remedy="Restore the file from your backup; without it, this plan cannot go on here",
        )


def opened_twice(context: KeyContext) -> FederationError:
    """The refusal of a second list for the sum of a round."""
    return FederationError(
        f"A list of survivors was signed already for '{context.label}' of round {context.round}",
        where="secure sum",
        remedy="Go on with the next round: two sums of one round would show the updates of single clinics",
    )


def _name(context: KeyContext) -> str:
    """The sum, whatever its run, attempt and model."""
    return f"{context.plan} {context.round} {context.label}"
