from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dermafed.client.node.clinic_trainer import clinic_seed
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.training.data import load_labelled
from dermafed.simulation.runs.train_arm import tune
from tests.client.node.test_clinic_trainer import PLAN, _tiny, clinic_folder
from tests.shared.training.tiny import plain, start, trainer

__all__ = ["_tiny", "clinic_folder"]


def test_a_tuned_model_is_a_training_of_its_own_from_the_federations_weights(clinic_folder: Path) -> None:
    plan = replace(PLAN, rounds=7, recipe=plain(steps=50))
    weights = start(plan.model)
    clinic = read_clinic_split(clinic_folder)
    data = load_labelled(clinic.splits.train, plan.model, plan.preprocess)
    alone = trainer(plan.model, plain(epochs=2), data, seed=clinic_seed(clinic, plan.seed))
    expected = alone.train(weights, 1, {}).weights
    assert not np.array_equal(expected, weights)
    np.testing.assert_array_equal(tune(clinic_folder, plan, clinic_folder / "state", weights, 2), expected)
