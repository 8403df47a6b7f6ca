"""What a server sees of the training of the last layer, under each defence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.privacy.planned_noise import PlannedNoise

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exposure:
    """The training whose result the server sees: of one clinic's images, or of all clinics' together.

    What clinics send in a round of one step adds up to the step on all of their images; several local steps
    are taken as steps on the sum here too.

    Attributes:
        in_sum: whether the server sees sums over clinics only.
        steps: of gradient descent, over the whole run.
        rate: share of the patients that a step draws.
        learning_rate: of each step, for the sum of the gradients over ``rate`` times the patients.
        clip: largest norm of a patient's gradient.
        noise: standard deviation of a step's noise, in multiples of ``clip``.
    """

    in_sum: bool
    steps: int = 256
    rate: float = 1.0
    learning_rate: float = 0.05
    clip: float = math.inf
    noise: float = 0.0

    @classmethod
    def private(cls, dp: DifferentialPrivacy, noise: PlannedNoise, learning_rate: float) -> Exposure:
        """That of a plan with differential privacy: whatever the server sees has this noise."""
        steps = noise.training
        in_sum = dp.place == "sum"
        return cls(in_sum, steps.times, steps.rate, learning_rate, dp.clip, steps.noise)


def trained_layer(
    features: NDArray[np.floating], labels: NDArray[np.int64], classes: int, how: Exposure, seed: int
) -> Floats:
    """The last layer after a training, whose every image is another patient.

    The noise is not secret here, and not on a grid: nothing of it is released.

    Args:
        features: what the layer reads, (N, K).
        labels: int64 (N,).
        classes: C.
        how: the training.
        seed: of samples and noise.

    Returns:
        Kernel, and bias in the last row, float64 (K + 1, C).
    """
    random, truth = np.random.default_rng(seed), np.eye(classes)[labels]
    inputs = np.c_[features, np.ones(len(features))].astype(np.float32)
    prior = np.log(np.maximum(truth.mean(axis=0), 1 / (len(labels) + 1)))
    layer = np.zeros((inputs.shape[1], classes))
    for _ in range(how.steps):
        drawn = random.random(len(labels)) < how.rate
        read, true = (inputs, truth) if drawn.all() else (inputs[drawn], truth[drawn])
        errors = softmax(read @ layer.astype(np.float32) + prior, axis=1) - true
        gradient = read.T @ (errors * _shortened(read, errors, how.clip)).astype(np.float32)
        if how.noise:
            gradient += random.normal(scale=how.noise * how.clip, size=gradient.shape)
        layer -= how.learning_rate * gradient.astype(np.float64) / (how.rate * len(labels))
    return layer


def _shortened(inputs: NDArray[np.float32], errors: Floats, clip: float) -> Floats:
    """By what each image's gradient, the outer product of the two, is multiplied: (N, 1)."""
    if math.isinf(clip):
        return np.ones((len(errors), 1))
    norms = np.linalg.norm(inputs, axis=1) * np.linalg.norm(errors, axis=1)
    return np.asarray(np.minimum(1, clip / np.maximum(norms, 1e-12))[:, None], np.float64)
