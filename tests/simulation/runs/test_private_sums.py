"""Simulated runs with noise within secure sums: those of central DP-SGD, which no single party computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.exchange import Participation
from dermafed.server.rounds.opened_sums import GroupSum, Opened
from dermafed.server.rounds.private_steps import PrivateSteps
from dermafed.server.rounds.sum_attempts import SumLostError
from dermafed.shared.lesions.clinic_split import read_clinic_split, write_clinic_split
from dermafed.shared.lesions.record import Splits
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.private_plan import noise_of
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.private_head import Floats
from dermafed.shared.training.private_trainer import PatientData
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.runs.arms import Arm
from dermafed.simulation.runs.train_arm import _train
from tests.client.node.test_clinic_trainer import PLAN, records
from tests.server.summing_clinics import summing
from tests.shared.training.tiny import plain, tiny, tiny_backbones

NAMES = ("Graz", "Linz", "Wels", "Wien")
DP = DifferentialPrivacy(epsilon=1e6, delta=1e-3, rate=1.0, clip=0.5, place="sum")
MODEL = tiny(batch_norm="frozen")
RATE = 0.7


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arm]:
    """Four clinics with images of their own, and little noise."""
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        images = records(tmp_path, 24)
        folders = tuple(tmp_path / name for name in NAMES)
        for number, folder in enumerate(folders):
            own = images[6 * number : 6 * number + 6]
            write_clinic_split(folder, Splits(own[: 3 + number % 2], own[4:], own[4:]))
        plan = replace(
            PLAN,
            model=MODEL,
            recipe=plain(optimizer="sgd", learning_rate=RATE, schedule="constant", balance="none"),
            rounds=2,
            class_counts=(5, 5, 4),
            dp=DP,
        )
        arm = Arm("federated", tmp_path / "arm", folders, folders, plan, "fedavg", "local", "none")
        arm.folder.mkdir()
        yield replace(arm, privacy=PrivacySettings(aggregation="secure", dp=DP))


def central(arm: Arm, start: FloatVector, rounds: int) -> Floats:
    """The last layer after steps on all clinics' images in one place, each image a patient."""
    features, labels = zip(*(features_at(folder, start) for folder in arm.members), strict=True)
    inputs, truth = np.c_[np.concatenate(features), np.ones(14)], np.eye(3)[np.concatenate(labels)]
    layer = start[-27:].astype(np.float64).reshape(9, 3)
    for _ in range(rounds):
        errors = softmax(inputs @ layer, axis=1) - truth
        gradients = [clipped(np.outer(x, e)) for x, e in zip(inputs, errors, strict=True)]
        layer = layer - RATE / 14 * np.sum(gradients, axis=0)
    return layer


def clipped(gradient: Floats) -> Floats:
    return gradient * min(1.0, DP.clip / float(np.linalg.norm(gradient)))


def features_at(folder: Path, weights: FloatVector) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images = load_labelled(read_clinic_split(folder).splits.train, MODEL, PLAN.preprocess)
    (features,) = PatientData(images, []).features(MODEL, weights, views=1)
    return features, images.labels


def test_but_for_the_noise_it_is_the_gradient_descent_of_all_patients_together(arm: Arm) -> None:
    _train(arm)
    first, last = load_state(arm.folder, 1), load_state(arm.folder, 2)
    step = central(arm, first.weights, 1) - first.weights[-27:].reshape(9, 3)
    taken = (last.weights - first.weights)[-27:].reshape(9, 3)
    noise = noise_of(DP, arm.plan.recipe, 2).training.noise * DP.clip * RATE / 14
    added = np.sqrt(4 / 3) * noise  # that of all four, of which any three would be enough
    assert np.abs(taken - step).max() < 5 * added < 0.02 * np.abs(step).max()
    assert 0.5 < (taken - step).std() / added < 1.5
    np.testing.assert_array_equal(last.weights[:-27], first.weights[:-27])
    for row in last.history:
        assert np.isnan([row.train_loss, row.validation_loss, row.validation_auc]).all()
        assert 0 <= row.validation_balanced_accuracy <= 1
        assert (row.replied, row.left_out) == (4, "")


def test_a_sum_beyond_all_patients_gradients_is_no_step() -> None:
    """A clinic that sends random numbers costs a round; each clinic's own code keeps to the bound."""
    agreed = summing(sizes=(100,) * 5, dp=DP)
    state = SimpleNamespace(weights=np.zeros(40, np.float32))
    steps = PrivateSteps(27, 1.0, plain(optimizer="sgd", learning_rate=RATE), 2)

    def step_of(gradient: Floats) -> NDArray[np.floating]:
        opened = Opened((GroupSum(("graz",), {"gradient": gradient}),), Participation(["graz"]))
        sums = SimpleNamespace(summing=agreed, open=lambda grid, asked: opened)
        trained, _ = steps.train(None, state, sums, 1)  # type: ignore[arg-type]
        return trained.mean[-27:]

    all_of_one_direction = np.zeros(27)
    all_of_one_direction[3] = DP.clip * 500
    assert step_of(all_of_one_direction)[3] < 0
    unit, random = DP.clip / agreed.gradient_grid, np.random.default_rng(1)
    with pytest.raises(SumLostError, match="more than all patients have"):
        step_of(random.integers(-(2**31), 2**31, 27) * unit)
