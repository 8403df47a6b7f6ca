"""Labels and probabilities: what makes them usable, and their loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.shared.errors import DatasetError

PROBABILITY_FLOOR = 1e-7
"""The least probability a loss sees; Keras clips at the same value."""


def checked_predictions(
    labels: ArrayLike, probabilities: ArrayLike, classes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Refuse predictions from which no figure may be computed.

    Args:
        labels: int (N,), indices of the true classes.
        probabilities: float (N, C) in [0, 1], each row sums to 1 (within 1e-3).
        classes: C.

    Returns:
        Labels as int64 (N,) and probabilities as float64 (N, C), otherwise unchanged.

    Raises:
        DatasetError: there is no image.
        ValueError: shapes do not fit, a label is not a class, a row is not a distribution (NaN included).
    """
    truth = np.asarray(labels)
    scores = np.asarray(probabilities, dtype=np.float64)
    if truth.size == 0:
        raise DatasetError("There is no image to evaluate", remedy="Give a test set with labelled images")
    if scores.shape != (truth.size, classes) or truth.ndim != 1:
        raise ValueError(
            f"labels {truth.shape} and probabilities {scores.shape} are not (N,) and (N, {classes})"
        )
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= classes:
        raise ValueError(f"labels must be integers from 0 to {classes - 1}")
    if not (scores.min() >= 0 and scores.max() <= 1 and np.allclose(scores.sum(axis=1), 1, atol=1e-3)):
        raise ValueError("every row of probabilities must be finite, in [0, 1] and sum to 1")
    return truth.astype(np.int64), scores


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loss of each image: -log of its true class' probability, in nats.

    Args:
        labels: int64 (N,).
        probabilities: float64 (N, C).

    Returns:
        float64 (N,), from 0 to ``-log(PROBABILITY_FLOOR)`` = 16.1.
    """
    true_class = probabilities[np.arange(labels.size), labels]
    return -np.log(np.clip(true_class, PROBABILITY_FLOOR, 1.0))
