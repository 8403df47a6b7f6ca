"""The attempts at the secure sums of a run, on disk before anything is asked for.

A clinic takes part in each attempt once, in three at most, and signs one list of survivors for a sum, ever:
a server that starts again must not ask for what clinics will refuse, and knows that a sum is lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.summed import Label
from dermafed.shared.secure_sum.thresholds import MOST_ATTEMPTS
from dermafed.shared.storage.atomic_files import write_json

ATTEMPTS_FILE = "secure-sums.json"


class SumLostError(FederationError):
    """A sum that can never be opened: the run goes on without it."""


@dataclass(frozen=True)
class SumAttempts:
    """The attempts at the sums of a run.

    Attributes:
        folder: the run's.
    """

    folder: Path

    def begin(self, label: Label, round: int) -> int:
        """Count a new attempt, and return its number, from 1.

        Raises:
            SumLostError: a list of survivors was sent out, or there were as many attempts as a clinic takes
                part in.
            StorageError: it cannot be written.
        """
        before = self._load()
        done, sent = before.get(_name(label, round), (0, False))
        if sent or done >= MOST_ATTEMPTS:
            why = "clinics may have signed who is in it" if sent else f"all {done} attempts failed"
            raise SumLostError(
                f"The secure sum '{label}' of round {round} is lost: {why}",
                where="secure sum",
                remedy="It is left out; see the log for the clinics that did not reply",
            )
        self._save(before | {_name(label, round): (done + 1, False)})
        return done + 1

    def send_survivors(self, label: Label, round: int) -> None:
        """Note that the list of survivors is about to be sent: from now on it is this attempt or none.

        Raises:
            StorageError: it cannot be written.
        """
        before = self._load()
        self._save(before | {_name(label, round): (before[_name(label, round)][0], True)})

    def _load(self) -> dict[str, tuple[int, bool]]:
        path = self.folder / ATTEMPTS_FILE
        if not path.exists():
            return {}
        try:
            values = json.loads(path.read_text("utf-8"))
            return {name: (int(one["attempts"]), bool(one["sent"])) for name, one in values.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise FederationError(
                "The attempts at secure sums cannot be read",
                where=path,
                remedy="Restore the file from your backup, or ask for a new run",
            ) from error

    def _save(self, sums: dict[str, tuple[int, bool]]) -> None:
        values = {name: {"attempts": done, "sent": sent} for name, (done, sent) in sums.items()}
        write_json(self.folder / ATTEMPTS_FILE, values)


def _name(label: Label, round: int) -> str:
    return f"{label} {round}"
