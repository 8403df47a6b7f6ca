"""Clinics that something was noted about in most of a run's last rounds, for the coordinator to look into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RECENT, OFTEN = 5, 3
"""An outlier is noted in at least ``OFTEN`` of the last ``RECENT`` rounds."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A clinic that keeps being out of line with the others.

    Attributes:
        clinic: its name.
        rounds: in how many of the last rounds something was noted about it.
        of: how many rounds were looked at.
        reason: the last note.
    """

    clinic: str
    rounds: int
    of: int
    reason: str

    def __str__(self) -> str:
        """For the coordinator, with what can be done."""
        return (
            f"{self.clinic} was out of line in {self.rounds} of the last {self.of} rounds: {self.reason}."
            f" Ask it why, or: fl-server suspend {self.clinic}"
        )


def find_outliers(rounds: Sequence[Mapping[str, Any]]) -> list[Outlier]:
    """The outliers of a run, by name.

    Args:
        rounds: as :func:`dermafed.server.record.rounds_table.list_rounds` gives them.
    """
    last = rounds[-RECENT:]
    notes: dict[str, list[str]] = {}
    for row in last:
        for one in row.get("clinics", ()):
            if one["note"]:
                notes.setdefault(one["clinic"], []).append(one["note"])
    found = (Outlier(clinic, len(own), len(last), own[-1]) for clinic, own in sorted(notes.items()))
    return [one for one in found if one.rounds >= OFTEN]
