"""A clinic's weight in the mean, and the classes it lacks: one function each for the clinic and the server.

Without Keras, which the server does not load.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BY_IMAGES = ("none", "global")
"""The balances by which every training image counts once in the mean."""


def class_weights(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """n / (C n_c) for each class (scikit-learn's "balanced"), 0 for an absent one: float32 (C,).

    Args:
        counts: images of each class (C,).
    """
    weights = np.divide(counts.sum(), len(counts) * counts, out=np.zeros(len(counts)), where=counts > 0)
    return np.asarray(weights, np.float32)


def absent_classes(counts: Sequence[int], everywhere: Sequence[int]) -> tuple[bool, ...]:
    """Of each class, whether other clinics have training images of it and this one has none: (C,).

    A class that nobody has is not absent: no other clinic would teach that it is none of these images.

    Args:
        counts: the clinic's training images of each class (C,).
        everywhere: those of all clinics (C,).

    Example:
        (5, 0, 0) of (9, 4, 0): the second alone.
    """
    return tuple(own == 0 < total for own, total in zip(counts, everywhere, strict=True))


def balanced_weight(counts: NDArray[np.int64], everywhere: NDArray[np.int64]) -> int:
    """Return the weight of a clinic's images where each class weighs the same over all clinics.

    Args:
        counts: the clinic's images of each class (C,).
        everywhere: those of all clinics (C,).

    Returns:
        sum_c n_c N / (C N_c), at least 1. Clinics with 30 + 10 and 10 + 50 images (N = 100) weigh
        30 * 100 / 80 + 10 * 100 / 120 = 46 and 54.
    """
    return max(1, round(float(counts @ class_weights(everywhere))))


def clinic_weight(counts: Sequence[int], everywhere: Sequence[int], balance: str) -> int:
    """A clinic's weight in the mean, by the recipe's balance.

    Args:
        counts: the clinic's training images of each class (C,).
        everywhere: those of all clinics (C,).
        balance: the recipe's ``balance``.
    """
    if balance in BY_IMAGES:
        return int(sum(counts))
    return balanced_weight(np.asarray(counts, np.int64), np.asarray(everywhere, np.int64))
