"""Attacks on patients by what a server sees: each succeeds without a defence, and fails against two."""

from __future__ import annotations

import math
from functools import cache
from statistics import fmean

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.privacy.planned_noise import planned_noise
from dermafed.simulation.attacks.exposure import Exposure
from dermafed.simulation.attacks.inversion import pictures_by_features, recover
from dermafed.simulation.attacks.membership import infer_membership
from dermafed.simulation.attacks.similarity import structural_similarity

DELTA, RATE, STEPS = 1e-5, 0.25, 32
RNG = np.random.default_rng(2)
CLINICS = np.repeat([0, 1, 2, 3, 4], [80, 100, 100, 100, 100])
LABELS = RNG.integers(0, 3, len(CLINICS))
FEATURES = RNG.normal(scale=0.4, size=(len(CLINICS), 60))
PICTURES = np.array([gaussian_filter(RNG.uniform(size=(16, 16, 3)), (2, 2, 0)) for _ in range(120)])
PICTURES = (PICTURES - PICTURES.min()) / np.ptp(PICTURES)
VICTIMS = np.arange(12)

OWN, IN_SUM = Exposure(in_sum=False, learning_rate=0.5), Exposure(in_sum=True, learning_rate=0.5)


def private(epsilon: float) -> Exposure:
    noise = planned_noise(epsilon, DELTA, RATE, steps=STEPS, rounds=1)
    return Exposure.private(DifferentialPrivacy(epsilon=epsilon, delta=DELTA, rate=RATE), noise, 1.0)


@cache
def advantage(how: Exposure) -> float:
    return infer_membership(FEATURES, LABELS, CLINICS, 0, how).advantage


def likeness(how: Exposure) -> float:
    inputs, labels = PICTURES.reshape(len(PICTURES), -1), LABELS[: len(PICTURES)]
    found = recover(inputs, labels, VICTIMS, how, np.random.default_rng(1)).reshape(-1, *PICTURES.shape[1:])
    return fmean(structural_similarity(*pair) for pair in zip(found, PICTURES[VICTIMS], strict=True))


def test_members_are_told_by_a_clinics_own_update() -> None:
    """The control."""
    assert advantage(OWN) > 0.5


def test_members_are_hardly_told_by_a_sum() -> None:
    assert advantage(IN_SUM) < 0.5 * advantage(OWN)


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_members_are_told_no_better_than_epsilon_allows(epsilon: float) -> None:
    allowed = (math.exp(epsilon) - 1 + 2 * DELTA) / (math.exp(epsilon) + 1)
    assert advantage(private(epsilon)) < min(allowed, 0.4 * advantage(OWN))


def test_an_image_is_read_from_a_batch_of_one() -> None:
    """The control."""
    assert likeness(OWN) > 0.99


@pytest.mark.parametrize("epsilon", [None, 8.0, 300.0], ids=["sum", "8", "300"])
def test_no_image_is_read_from_a_sum_or_through_noise(epsilon: float | None) -> None:
    """No better than by the mean of the pictures that the attacker has."""
    how = IN_SUM if epsilon is None else private(epsilon)
    mean = PICTURES[len(VICTIMS) :].mean(axis=0)
    guessed = fmean(structural_similarity(mean, one) for one in PICTURES[VICTIMS])
    assert likeness(how) < guessed + 0.1


def test_features_of_another_network_show_what_goes_with_them() -> None:
    """Of pictures that are one colour each, which the features tell in a mixture."""
    colours = RNG.uniform(size=(60, 3))
    pictures = np.broadcast_to(colours[:, None, None], (60, 4, 4, 3))
    features = colours @ RNG.normal(size=(3, 20)) + 0.01 * RNG.normal(size=(60, 20))
    found = pictures_by_features(features[:10], features[10:], pictures[10:])
    assert np.abs(found - pictures[:10]).max() < 0.2
    assert np.corrcoef(found.ravel(), pictures[:10].ravel())[0, 1] > 0.95
