"""Whether a patient was in training, guessed from all that private steps release: never better than epsilon.

The attacker has the patient's gradient and adds up how much of it each released sum shows. Two error rates
bound epsilon from below: TPR <= exp(epsilon) FPR + delta (Kairouz, Oh and Viswanath 2015, theorem 2.1), with
exact binomial intervals. The control, with a tenth of the noise, must be caught at the same claim.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta

from dermafed.shared.privacy.planned_noise import planned_noise
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.private_head import PatientImages

EPSILON, DELTA, RATE, STEPS, TRIALS = 2.0, 1e-5, 0.5, 8, 600
LAYER = np.zeros((4, 2))


def shown(noise: float, *, there: bool, seed: int) -> float:
    """How much of a patient's gradient the released sums show, over all steps."""
    features = np.array([[0.2, 0.1, -0.3], [0.1, -0.2, 0.2], [3.0, -3.0, 3.0]])[: 3 if there else 2]
    labels = np.array([0, 1, 1])[: len(features)]
    patients = [np.array([n]) for n in range(len(features))]
    images = PatientImages(features, np.eye(2)[labels], np.zeros(2), patients)
    canary = np.outer([3.0, -3.0, 3.0, 1.0], [0.5, -0.5])
    random = SecretRandom(seed.to_bytes(32, "big"))
    released = [
        images.noisy_gradient(LAYER, rate=RATE, clip=1.0, noise=noise, random=random) for _ in range(STEPS)
    ]
    return float(sum((one * canary).sum() for one in released) / np.linalg.norm(canary))


def audited_epsilon(noise: float) -> float:
    """The largest lower bound of epsilon over thresholds chosen on the first half of the trials (95 %)."""
    scores = np.array(
        [[shown(noise, there=there, seed=2 * n + there) for n in range(TRIALS)] for there in (False, True)]
    )
    half = TRIALS // 2
    out, within = scores[0, :half], scores[1, :half]
    guesses = [((within > t).mean() + 1e-3) / ((out > t).mean() + 1e-2) for t in within]
    threshold = within[int(np.argmax(guesses))]
    false, true = (int((side[half:] > threshold).sum()) for side in scores)
    most_false = float(beta.ppf(0.975, false + 1, half - false))
    least_true = float(beta.ppf(0.025, true, half - true + 1)) if true else 0.0
    return math.log(max((least_true - DELTA) / most_false, 1e-9))


def test_an_audit_by_a_canary_never_finds_more_than_epsilon() -> None:
    noise = planned_noise(EPSILON, DELTA, RATE, steps=STEPS, rounds=1).training.noise
    found = audited_epsilon(noise)
    assert 0.1 < found <= EPSILON  # the attack works, and epsilon holds
    assert audited_epsilon(noise / 10) > EPSILON  # the control: less noise than claimed is noticed
