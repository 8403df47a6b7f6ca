"""What a clinic has done in which sum, on its disk: each attempt is begun once, and one list is signed, ever.

Training is deterministic. If a round were opened for two lists, their difference would be the updates of
those who are in one of them only. And each attempt draws the graph anew: a server that may repeat one could
draw until it likes the graph. So it is on the disk before anything is sent, and counts in whatever run.

Attempts are begun in order, and only the last one is signed: so who signs in one is in no later one, and of
all sums that a server opens of a round, the first has three honest clinics that are in no other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.secure_sum.context import KeyContext
from dermafed.shared.storage.atomic_files import make_private_folder, write_private


class SumLog(Protocol):
    """The sums in which a clinic has taken part."""

    def begin(self, context: KeyContext) -> None:
        """Write down that an attempt is begun.

        Raises:
            FederationError: it was before, or a list was signed for this sum.
        """

    def sign(self, context: KeyContext) -> None:
        """Write down that a list of survivors is signed.

        Raises:
            FederationError: one was before for this sum, in whatever attempt.
        """


@dataclass(frozen=True)
class SumLogFile:
    """The log of the sums of a plan, in a file; one process at a time may use it.

    Attributes:
        path: the file; it need not exist yet.
    """

    path: Path

    def begin(self, context: KeyContext) -> None:
        """See :class:`SumLog`.

        Raises:
            StorageError: the file cannot be read or written; then nothing may be sent.
        """
        self._add(context, str(context.attempt))

    def sign(self, context: KeyContext) -> None:
        """See :class:`SumLog`.

        Raises:
            StorageError: the file cannot be read or written; then nothing may be signed.
        """
        self._add(context, _SIGNED)

    def _add(self, context: KeyContext, what: str) -> None:
        sums = self._load()
        name = f"{context.plan} {context.round} {context.label}"  # whatever its run and model
        sums[name] = after(sums.get(name, []), what, context)
        make_private_folder(self.path.parent)
        write_private(self.path, json.dumps(sums, indent=2).encode())

    def _load(self) -> dict[str, list[str]]:
        if not self.path.exists():
            return {}
        try:
            sums = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self._unreadable() from error
        if not _is_log(sums):
            raise self._unreadable()
        return dict(sums)

    def _unreadable(self) -> StorageError:
        return StorageError(
            "What was done in secure sums cannot be read",
            where=self.path,
            remedy="Restore the file from your backup; without it, this plan cannot go on here",
        )


def after(before: list[str], what: str, context: KeyContext) -> list[str]:
    """The entries of a sum after another one.

    Args:
        before: the numbers of the attempts that were begun, and ``signed``.
        what: the new entry.
        context: of the attempt.

    Raises:
        FederationError: nothing more is done in this sum, or this was done before.
    """
    of = f"for '{context.label}' of round {context.round}"
    if _SIGNED in before:
        raise FederationError(
            f"A list of survivors was signed already {of}",
            where="secure sum",
            remedy="Go on with the next round: two sums of one round would show updates of single clinics",
        )
    if what in before:
        raise FederationError(
            f"Attempt {what} {of} was begun already", where="secure sum", remedy="Begin the next attempt"
        )
    if any(int(begun) > context.attempt for begun in before):
        raise FederationError(
            f"Attempt {context.attempt} {of} is over: a later one was begun",
            where="secure sum",
            remedy="Begin the next attempt",
        )
    return [*before, what]


_SIGNED = "signed"


def _is_log(sums: Any) -> bool:
    return isinstance(sums, dict) and all(
        isinstance(done, list)
        and all(isinstance(each, str) and (each == _SIGNED or each.isdecimal()) for each in done)
        for done in sums.values()
    )
