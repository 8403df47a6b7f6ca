"""The rules that a round keeps: how many clinics, how long, how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dermafed.shared.errors import SettingsError


@dataclass(frozen=True)
class RoundRules:
    """How a run's rounds are held.

    Attributes:
        rounds: number of rounds, counted from the run's start.
        clinics: number of clinics in the federation.
        quorum: clinics whose replies a round needs: a number (int), or a share of ``clinics`` (float in
            (0, 1], rounded up).
        deadline: seconds that the clinics have to train, and again to evaluate; infinite by default.
        attempts: how often training or evaluation is tried before the run stops for lack of a quorum.
        connect_seconds: how long an attempt waits for a quorum of clinics to be connected.
        most_images: largest believable number of training images of one clinic.
        patience: rounds after the best one, by validation balanced accuracy, until the run ends early;
            ``None``: it never does.
    """

    rounds: int
    clinics: int
    quorum: int | float = 0.5
    deadline: float = math.inf
    attempts: int = 3
    connect_seconds: float = 300.0
    most_images: int = 1_000_000
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("rounds", "clinics", "attempts", "most_images"):
            self._require(getattr(self, name) >= 1, name, "1 or more")
        self._require(self.deadline > 0, "deadline", "more than 0 seconds")
        self._require(self.patience is None or self.patience >= 1, "patience", "1 or more rounds")
        if isinstance(self.quorum, int):
            self._require(1 <= self.quorum <= self.clinics, "quorum", f"1 to {self.clinics} clinics")
        else:
            self._require(0 < self.quorum <= 1, "quorum", "a share in (0, 1]")

    @property
    def needed(self) -> int:
        """The quorum as a number of clinics."""
        if isinstance(self.quorum, int):
            return self.quorum
        return math.ceil(self.quorum * self.clinics - 1e-9)

    def _require(self, right: bool, name: str, remedy: str) -> None:
        if not right:
            raise SettingsError(f"The {name} is {getattr(self, name)}", remedy=f"Choose {remedy}")
