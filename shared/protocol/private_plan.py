"""What a plan with differential privacy asks for, and the noise of it."""

from __future__ import annotations

from typing import Protocol

from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.privacy.planned_noise import PlannedNoise, planned_noise
from dermafed.shared.training.recipe import Recipe


class PrivatePlan(Protocol):
    """What of a plan or an offer says how a run is private."""

    @property
    def dp(self) -> DifferentialPrivacy | None:
        """The differential privacy that is asked for, if any."""

    @property
    def model(self) -> ModelSettings:
        """The architecture."""

    @property
    def recipe(self) -> Recipe:
        """The training; within sums its learning rate is the server's."""

    @property
    def rounds(self) -> int:
        """Number of rounds; within sums each is a step."""


def noise_of(dp: DifferentialPrivacy, recipe: Recipe, rounds: int) -> PlannedNoise:
    """The noise of a plan's releases.

    Raises:
        SettingsError: no noise is enough.
    """
    if dp.in_sums:
        return planned_noise(dp.epsilon, dp.delta, dp.rate, steps=rounds, rounds=rounds)
    in_epoch = dp.steps_in_epoch
    steps = sum(len(recipe.steps_of_round(round, in_epoch)) for round in range(1, rounds + 1))
    return planned_noise(dp.epsilon, dp.delta, dp.rate, steps=steps, rounds=rounds)
