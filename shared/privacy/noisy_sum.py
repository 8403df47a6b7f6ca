"""A sum over patients with noise: each contribution clipped to a bound, on a grid of whole numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.privacy.discrete_gaussian import discrete_gaussian
from dermafed.shared.privacy.secret_random import SecretRandom

GRID = 2**20
"""Steps of the grid in the bound of one contribution: rounding is far below the noise, and a sum over a
billion patients fits 64 bits."""


def on_grid(contribution: NDArray[np.floating], bound: float) -> NDArray[np.int64]:
    """A patient's contribution, clipped and in whole steps of bound / GRID.

    Its Euclidean norm is at most GRID, exactly: values are cut towards 0, and the norm is checked in whole
    numbers. A contribution that is not finite is one of zeros: to refuse it would tell of the patient.

    Args:
        contribution: of any shape.
        bound: largest norm, above 0.

    Returns:
        int64, flat.
    """
    values = np.asarray(contribution, np.float64).ravel()
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < np.inf:  # NaN is not either
        return np.zeros(values.size, np.int64)
    unit = values / largest  # so that no square overflows
    scaled = unit * (min(largest, bound / float(np.linalg.norm(unit))) / bound * GRID)
    steps = scaled.astype(np.int64)
    while int(steps @ steps) > GRID**2:  # by a rounding error at most
        scaled *= 1 - 2.0**-40
        steps = scaled.astype(np.int64)
    return steps


def noisy_sum(
    contributions: Iterable[NDArray[np.int64]], size: int, *, bound: float, noise: float, random: SecretRandom
) -> NDArray[np.float64]:
    """The sum of contributions with noise, which may be released.

    Args:
        contributions: of :func:`on_grid`, each int64 (size,).
        size: their length.
        bound: the bound that they were clipped to.
        noise: standard deviation of the noise, in multiples of the bound.
        random: the source of the noise.

    Returns:
        float64 (size,).
    """
    total = np.zeros(size, np.int64)
    for one in contributions:
        total += one
    total += discrete_gaussian(random, noise * GRID, size)
    return np.asarray(total * (bound / GRID), np.float64)
