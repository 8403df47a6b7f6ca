"""Logits whose temperature is known: labels are drawn from their probabilities at that temperature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def drawn(
    count: int, seed: int = 0, *, temperature: float = 1.0, classes: int = 3, spread: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits (N, C), and labels (N,) that they are calibrated for at the temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (count, classes)).astype(np.float32)
    chances = softmax(logits.astype(np.float64) / temperature, axis=1).cumsum(axis=1)
    labels = (rng.random((count, 1)) > chances[:, :-1]).sum(axis=1)
    return logits, labels.astype(np.int64)


def fitted(count: int = 400, seed: int = 0, temperature: float = 2.0) -> Calibration:
    logits, labels = drawn(count, seed, temperature=temperature)
    best = CalibrationSums.of(logits, labels).best_temperature
    return Calibration("0" * 64, CLASSES, CalibrationSums.of(logits, labels, best))
