from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.node.clinic_trainer import clinic_seed
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.training.data import load_labelled
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.runs.tuning import tuned_model
from tests.client.node.test_clinic_trainer import PLAN, _tiny, site
from tests.shared.training.tiny import plain, start, trainer

__all__ = ["_tiny", "site"]


def test_a_tuned_model_is_a_training_of_its_own_from_the_federations_weights(site: Path) -> None:
    plan = replace(PLAN, rounds=7, recipe=plain(steps=50))
    weights = start(plan.model)
    clinic = read_clinic_split(site)
    data = load_labelled(clinic.splits.train, plan.model, plan.preprocess)
    alone = trainer(plan.model, plain(epochs=2), data, seed=clinic_seed(clinic, plan.seed))
    expected = alone.train(weights, 1, {}).weights
    assert not np.array_equal(expected, weights)
    np.testing.assert_array_equal(tuned_model(site, plan, site / "state", weights, 2), expected)


@pytest.mark.parametrize("passes", [-1, float("nan"), float("inf"), "2", True])
def test_impossible_passes_are_refused_before_any_work(passes: float) -> None:
    with pytest.raises(SettingsError, match="tune"):
        RunSettings(tune=passes, weights="none")


def test_tuning_does_not_go_with_fedbn() -> None:
    with pytest.raises(SettingsError, match="tune does not go with"):
        RunSettings(tune=1, batch_norm="local", weights="none")
