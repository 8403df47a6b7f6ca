"""Resamples of several trainings as resamples of their mean: the trainings are drawn too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def over_trainings(values: Floats) -> Floats:
    """The mean over trainings in every resample of the images, trainings drawn too.

    Crossed random effects (Owen 2007). K trainings drawn with replacement vary too little, by (K - 1) / K, so
    their deviations from the mean are stretched by the root of K / (K - 1). The draws are the same for all
    values of this shape, so differences are paired.

    Args:
        values: a figure of each training in every resample, (R, K, ...).

    Returns:
        float64 (R, ...); may leave a figure's range.

    Example:
        Two trainings of 0.4 and 0.6 in all resamples: 0.5, or 0.5 +- 0.1 * sqrt(2).
    """
    count, trainings = values.shape[:2]
    drawn = np.random.default_rng(0).multinomial(trainings, np.full(trainings, 1 / trainings), size=count)
    middle, stretch = values.mean(axis=1), np.sqrt(trainings / max(trainings - 1, 1))
    deviations = np.einsum("rk,rk...->r...", drawn / trainings, values - middle[:, None])
    return np.asarray(middle + stretch * deviations)
