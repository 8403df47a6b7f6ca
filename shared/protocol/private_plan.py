"""The noise that a plan with differential privacy asks for."""

from __future__ import annotations

from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.privacy.planned_noise import PlannedNoise, planned_noise
from dermafed.shared.training.recipe import Recipe


def noise_of(dp: DifferentialPrivacy, recipe: Recipe, rounds: int) -> PlannedNoise:
    """The noise of a plan's releases.

    Raises:
        SettingsError: no noise is enough.
    """
    in_epoch = dp.steps_in_epoch
    steps = sum(len(recipe.steps_of_round(round, in_epoch)) for round in range(1, rounds + 1))
    return planned_noise(dp.epsilon, dp.delta, dp.rate, steps=steps, rounds=rounds)
