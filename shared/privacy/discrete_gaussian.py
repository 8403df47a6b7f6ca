"""The discrete Gaussian: whole numbers k with probability proportional to exp(-k^2 / (2 s^2)).

Its noise is added to whole numbers, so that no result shows by its last bits what was summed up, as sums of
floats do (Mironov 2012, doi:10.1145/2382196.2382264).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.privacy.secret_random import SecretRandom


def discrete_gaussian(random: SecretRandom, deviation: float, count: int) -> NDArray[np.int64]:
    """Draw from the discrete Gaussian by rejection from the discrete Laplace distribution.

    Canonne, Kamath and Steinke 2020, arXiv:2004.00010, algorithms 2 and 3. There, chances are compared with
    exact fractions; here with uniform numbers of 64 bits against float64: for each number drawn, that differs
    by less than 1e-15 in total variation, for a million numbers by less than 1e-9, which delta has to bear.

    Args:
        random: the source.
        deviation: s, above 0 and at most 2^40.
        count: how many.

    Returns:
        int64 (count,).
    """
    found = [np.empty(0, np.int64)]
    lacking = count
    while lacking > 0:
        found.append(_accepted(random, deviation, 2 * lacking + 16)[:lacking])
        lacking -= len(found[-1])
    return np.concatenate(found)


def _accepted(random: SecretRandom, deviation: float, tries: int) -> NDArray[np.int64]:
    scale = math.floor(deviation) + 1
    rest = random.below(scale, tries)
    keep = random.uniform(tries) <= np.exp(-rest / scale)
    wholes = np.floor(-np.log(random.uniform(tries))).astype(np.int64)  # P(v or more) = exp(-v)
    magnitude = rest + scale * wholes
    negative = random.below(2, tries) == 1
    keep &= ~(negative & (magnitude == 0))  # or 0 would come twice as often
    distance = magnitude - deviation**2 / scale
    keep &= random.uniform(tries) <= np.exp(-(distance**2) / (2 * deviation**2))
    return np.where(negative, -magnitude, magnitude)[keep]
