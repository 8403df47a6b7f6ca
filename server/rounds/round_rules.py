"""The rules of a run's rounds: how many clinics a round needs, how long it waits, how often it is tried."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import AllowInfNan, Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Number, Settings

Quorum = Annotated[
    Number, Field(gt=0, description="Clinics that a round needs: a share of those asked, or a number of them")
]
Attempts = Annotated[int, Field(ge=1, description="How often a round is tried before the run pauses")]
Patience = Annotated[
    Annotated[int, Field(ge=1)] | None,
    Field(description="Rounds without a better model that end the run early"),
    Key(otherwise="it never ends early", example=8),
]
Positive = Annotated[int, Field(ge=1)]
LargestShare = Annotated[
    Number, Field(gt=0, le=1, description="Largest share of one clinic in the mean and in the evaluation")
]
LargestStep = Annotated[
    Number,
    Field(
        ge=1,
        description="Longest step of one clinic in multiples of the round's median; longer is shortened, "
        "or with a robust rule left out",
    ),
]


@dataclass(frozen=True, config=STRICT)
class RoundRules(Settings):
    """The rules of a run's rounds.

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
        largest_share: largest share of one clinic in the mean and in the evaluation; an equal share where
            this is more. 1: no share is capped.
        largest_step: most times the round's median norm that a clinic's step may be long; a longer one is
            shortened, or with a robust rule left out, and one that points away from the others' is left out.
            ``None``: steps are only measured.
    """

    rounds: Positive
    clinics: Positive
    quorum: Quorum = 0.5
    deadline: Annotated[float, AllowInfNan(True), Field(gt=0)] = math.inf
    attempts: Attempts = 3
    connect_seconds: float = 300.0
    most_images: Positive = 1_000_000
    patience: Patience = None
    largest_share: LargestShare = 1.0
    largest_step: LargestStep | None = None

    @model_validator(mode="after")
    def _quorum_can_be_reached(self) -> Self:
        most, right = (
            (self.clinics, "1 to {} clinics") if isinstance(self.quorum, int) else (1, "a share in (0, 1]")
        )
        if self.quorum > most:
            raise SettingsError(
                f"quorum is {self.quorum}", where="quorum", remedy=f"Give {right.format(self.clinics)}"
            )
        return self

    @property
    def needed(self) -> int:
        """The quorum as a number of clinics."""
        if isinstance(self.quorum, int):
            return self.quorum
        return math.ceil(self.quorum * self.clinics - 1e-9)
