"""Whether patients were in training, guessed from all that one run of private steps releases.

A one-run audit (Steinke, Nasr and Jagielski 2023, arXiv:2305.08846): each of many canaries is a patient with
probability 1/2; the attacker has their gradients and adds up how much of each the released sums show. It
calls those that show most members, and those that show least not. So many right guesses bound epsilon from
below (theorem 5.2). The control, without noise that is worth the name, must be caught at the same claim.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from dermafed.shared.privacy.noisy_sum import share_of, summand
from dermafed.shared.privacy.planned_noise import planned_noise
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.private_head import PatientImages

EPSILON, DELTA, RATE, STEPS = 4.0, 1e-6, 0.5, 8
CANARIES, GUESSES, SHARERS, GRID = 600, 150, 3, 2**18
LAYER = np.zeros((CANARIES + 1, 2))
MEMBERS = np.random.default_rng(1).integers(0, 2, CANARIES).astype(bool)


def canaries(chosen: np.ndarray) -> PatientImages:
    """Patients of one image each, whose features, and so whose gradients, have next to nothing in common."""
    features, truth = 50 * np.eye(CANARIES)[chosen], np.tile([1.0, 0.0], (len(chosen), 1))
    return PatientImages(features, truth, np.zeros(2), [np.array([n]) for n in range(len(chosen))])


def shown_at_a_clinic(noise: float, random: SecretRandom) -> np.ndarray:
    """What a clinic that adds all of the noise releases in a step."""
    images = canaries(np.flatnonzero(MEMBERS))
    return images.noisy_gradient(LAYER, rate=RATE, clip=1.0, noise=noise, random=random)


def shown_in_a_sum(noise: float, random: SecretRandom) -> np.ndarray:
    """What the sum of as few clinics as may be in one shows, each with its part of the noise."""
    total = np.zeros(LAYER.size, np.int64)
    for own in np.array_split(np.flatnonzero(MEMBERS), SHARERS):
        steps = canaries(own).sampled(LAYER, rate=RATE, clip=1.0, random=random, grid=GRID)
        total += summand(steps, LAYER.size, deviation=share_of(noise, SHARERS, GRID), random=random)
    return total.reshape(LAYER.shape) / GRID


def audited_epsilon(scores: np.ndarray) -> float:
    """The largest lower bound of epsilon (95 %) by the guesses that the scores make."""
    order = np.argsort(scores)
    right = int(MEMBERS[order[-GUESSES:]].sum() + (~MEMBERS[order[:GUESSES]]).sum())
    claims = np.linspace(0, 20, 401)
    refuted = [claim for claim in claims if chance(right, claim) < 0.05]
    return float(max(refuted, default=0.0))


def chance(right: int, epsilon: float) -> float:
    """Of so many right guesses or more under the claim: theorem 5.2 and its appendix D."""
    guesses, each = 2 * GUESSES, 1 / (1 + np.exp(-epsilon))
    more = binom.sf(right - 1, guesses, each)
    below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, each))
    alpha = max(below / np.arange(1, right + 1), default=0.0)
    return float(min(1.0, more + 2 * CANARIES * DELTA * alpha))


@pytest.mark.parametrize("shown", [shown_at_a_clinic, shown_in_a_sum])
def test_an_audit_of_one_run_never_finds_more_than_epsilon(
    shown: Callable[[float, SecretRandom], np.ndarray],
) -> None:
    noise = planned_noise(EPSILON, DELTA, RATE, steps=STEPS, rounds=1).training.noise

    def found(of_the_noise: float) -> float:
        random = SecretRandom(bytes(32))
        released = np.sum([shown(of_the_noise * noise, random) for _ in range(STEPS)], axis=0)
        return audited_epsilon(-released[:CANARIES, 0])

    assert 0.1 < found(1.0) <= EPSILON  # the attack works, and epsilon holds
    assert found(0.01) > EPSILON  # the control: less noise than claimed is noticed
