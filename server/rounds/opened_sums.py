"""A secure sum that is asked for, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from flwr.app import RecordDict
from numpy.typing import NDArray

from dermafed.server.rounds.exchange import Participation
from dermafed.shared.protocol.summed import Label


@dataclass(frozen=True)
class Asked:
    """A sum.

    Attributes:
        label: which of the round's sums.
        round: the round's number; 0 before the first.
        model: SHA-256 of what is asked for.
        parameters: how many weights are summed in full, or length of the last layer where that alone is
            trained.
        coded: how many are summed in few bits.
        content: what clinics get with the third step.
    """

    label: Label
    round: int
    model: str
    parameters: int = 0
    coded: int = 0
    content: RecordDict = field(default_factory=RecordDict)


class GroupSum(NamedTuple):
    """A sum over the clinics of a group, or over all where there are no groups.

    Attributes:
        names: whose values are in it.
        sums: by part of its layout, float64 (size,).
    """

    names: tuple[str, ...]
    sums: dict[str, NDArray[np.float64]]


class Opened(NamedTuple):
    """A sum that was opened, or those of all groups.

    Attributes:
        groups: one of all clinics, or several.
        participation: who is in them, and why others are not.
    """

    groups: tuple[GroupSum, ...]
    participation: Participation

    @property
    def sums(self) -> dict[str, NDArray[np.float64]]:
        """Those over all clinics, where there are no groups."""
        (only,) = self.groups
        return only.sums
