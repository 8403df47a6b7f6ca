"""A sum over patients with noise: each contribution clipped to a bound, on a grid of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.privacy.discrete_gaussian import discrete_gaussian
from dermafed.shared.privacy.secret_random import SecretRandom

GRID = 2**20
"""Steps of the grid in the bound of one contribution: rounding is far below the noise, and a sum over a
billion patients fits 64 bits."""


LEAST_SHARE = 4.0
"""Steps of the grid that a share of noise deviates at least: a sum of so wide discrete Gaussians is one too,
but for chances that differ by a factor below 1 + 1e-60 (Kairouz, Liu and Steinke 2021, arXiv:2102.06387)."""


def on_grid(contribution: NDArray[np.floating], bound: float, grid: int = GRID) -> NDArray[np.int64]:
    """A patient's contribution, clipped and in whole steps of bound / grid.

    Its Euclidean norm is at most the bound's, exactly: values are cut towards 0, and the norm is checked
    in whole numbers. What is not finite counts as zeros: to refuse it would tell of the patient.

    Args:
        contribution: of any shape.
        bound: largest norm, above 0.
        grid: steps of the grid in it.

    Returns:
        int64, flat.
    """
    values = np.asarray(contribution, np.float64).ravel()
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < np.inf:  # NaN is not either
        return np.zeros(values.size, np.int64)
    unit = values / largest  # so that no square overflows
    scaled = unit * (min(largest, bound / float(np.linalg.norm(unit))) / bound * grid)
    steps = scaled.astype(np.int64)
    while int(steps @ steps) > grid**2:  # by a rounding error at most
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
    steps = summand(contributions, size, deviation=noise * GRID, random=random)
    return np.asarray(steps * (bound / GRID), np.float64)


def summand(
    contributions: Iterable[NDArray[np.int64]], size: int, *, deviation: float, random: SecretRandom
) -> NDArray[np.int64]:
    """The sum of contributions with noise in whole steps of their grid: int64 (size,).

    Args:
        contributions: of :func:`on_grid`, each int64 (size,).
        size: their length.
        deviation: standard deviation of the noise, in steps.
        random: the source of the noise.
    """
    total = np.zeros(size, np.int64)
    for one in contributions:
        total += one
    return total + discrete_gaussian(random, deviation, size)


def share_of(noise: float, sharers: int, grid: int) -> float:
    """The standard deviation of one clinic's share of a sum's noise, in steps of the grid.

    Args:
        noise: that of the whole sum, in multiples of the bound of one patient's contribution.
        sharers: how many clinics' shares are in every sum for certain, and known to nobody else.
        grid: steps of the grid in the bound.
    """
    return max(noise * grid / math.sqrt(sharers), LEAST_SHARE)
