"""Tests of a difference between two classifiers on the same images, and of many such differences at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Two values nearer than this are equal."""


def bootstrap_p(differences: Floats) -> float:
    """Two-sided p-value that a difference is zero, from its bootstrap distribution.

    The level at which the percentile interval just reaches zero, each tail counted with the sample itself
    (Davison and Hinkley 1997, sections 4.2 and 5.4), so that it is never below 2 / (R + 1).

    Args:
        differences: of every resample, (R,).

    Example:
        Of 99 resamples 3 are at or below zero, 96 above: 2 * (3 + 1) / (99 + 1) = 0.08.
    """
    below, above = int((differences <= ROUNDING).sum()), int((differences >= -ROUNDING).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (differences.size + 1))


def mcnemar_p(right: ArrayLike, other: ArrayLike) -> float:
    """Exact two-sided p-value that two classifiers are right equally often (McNemar 1947).

    Args:
        right: whether the first classifier is right, bool (N,); the images are independent, one a lesion.
        other: whether the second classifier is right, bool (N,).

    Example:
        One alone is right on 1 image, the other alone on 9: 2 * (1 + 10) / 2^10 = 0.0215.
    """
    mine, yours = np.asarray(right, bool), np.asarray(other, bool)
    only, against = int((mine & ~yours).sum()), int((yours & ~mine).sum())
    return float(binomtest(only, only + against).pvalue) if only + against else 1.0


def combined_p(values: Sequence[float]) -> float:
    """One p-value of several tests of one hypothesis, however they depend on each other.

    K / k times the k-th smallest of K is valid whatever their dependence (Rüger 1978); here k is the
    median's, the lower one's for an even K.

    Example:
        0.01, 0.02 and 0.6: 3 / 2 * 0.02 = 0.03. One alone stays as it is.
    """
    median = (len(values) + 1) // 2
    return min(1.0, len(values) / median * sorted(values)[median - 1])


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: the chance of any false alarm stays as stated (Holm 1979).

    Example:
        0.01, 0.04 and 0.03 become 0.03, 0.06 and 0.06.
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - place) * values[index]))
        adjusted[index] = highest
    return adjusted
