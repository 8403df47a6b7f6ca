"""Likelihood ratios against SciPy's densities, and the training that the server sees against the clinics'."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.private_head import PatientImages
from dermafed.simulation.attacks.exposure import Exposure, trained_layer
from dermafed.simulation.attacks.membership import compared, likelihood_ratios, log_odds

RNG = np.random.default_rng(5)


def test_ratios_are_those_of_normal_densities_of_the_other_models() -> None:
    members = RNG.permuted(np.tile([True, False], (6, 4)), axis=1).T
    scores = RNG.normal(size=members.shape) + members
    means = np.empty((2, *scores.shape))
    for model, patient in np.ndindex(scores.shape):
        for side in (0, 1):
            others = [n for n in range(8) if n != model and members[n, patient] == bool(side)]
            means[side, model, patient] = scores[others, patient].mean()
    spread = [np.sqrt(((scores - means[side])[members == bool(side)] ** 2).mean()) for side in (0, 1)]
    expected = norm.logpdf(scores, means[1], spread[1]) - norm.logpdf(scores, means[0], spread[0])
    np.testing.assert_allclose(likelihood_ratios(scores, members), expected)


def test_figures_worked_out_by_hand() -> None:
    """Three of four members are likely ones, and one of four others; of 16 pairs 14 in order, one ties."""
    found = compared(np.array([[3.0, 2, 1, -1, 1, -2, -3, -4]]), np.array([[True] * 4 + [False] * 4]))
    assert found.advantage == 0.5
    assert found.auc == pytest.approx((4 + 4 + 3.5 + 3) / 16)
    assert found.found == 0.75  # above 0.97, which one other in a hundred exceeds
    assert log_odds(np.log([[0.5, 0.3, 0.2]]), np.array([1]))[0] == pytest.approx(math.log(0.3 / 0.7))


def test_a_step_is_that_of_a_clinic() -> None:
    features, labels = RNG.normal(size=(9, 4)), np.arange(9) % 3
    prior = np.log(np.full(3, 1 / 3))
    images = PatientImages(features, np.eye(3)[labels], prior, [np.array([n]) for n in range(9)])
    gradient = images.noisy_gradient(
        np.zeros((5, 3)), rate=1.0, clip=0.8, noise=1e-9, random=SecretRandom.fresh()
    )
    step = Exposure(in_sum=False, steps=1, learning_rate=2.0, clip=0.8)
    np.testing.assert_allclose(trained_layer(features, labels, 3, step, 0), -2 / 9 * gradient, atol=1e-5)
    noisy = Exposure(in_sum=False, steps=1, learning_rate=9.0, clip=0.8, noise=100)
    assert trained_layer(features, labels, 3, noisy, 0).std() == pytest.approx(80, rel=0.5)
