"""How much privacy mechanisms spend together: Renyi differential privacy, at whole orders only.

A mechanism adds discrete Gaussian noise to a sum of which each patient is part with some probability. At a
whole order a, its Renyi divergence is that of the sampled Gaussian mechanism, no less and no more: with P the
discrete Gaussian and P_d the same moved by whole numbers d,

    sum_x P(x) (P_d(x) / P(x))^k = exp(k (k - 1) |d|^2 / (2 s^2))

for every whole k, since moving by k d changes no sum over the grid, and ((1 - q) P + q P_d)^a is a sum of
such terms (Mironov, Talwar and Zhang 2019, arXiv:1908.10530, section 3.3). The map x -> d - x exchanges P and
P_d, so their theorem 5 holds too: the other direction is never larger. Between whole orders there is no such
identity, so none is used.

Neighbours differ by one patient, who is there or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import SettingsError

Curve = NDArray[np.float64]
"""The Renyi divergence at each of :data:`ORDERS`; those of successive mechanisms add."""

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 512, 1024)

_MOST_NOISE = 1e6
_PRECISION = 1e-4  # of the noise, relative


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A noisy sum over patients, released some number of times.

    Attributes:
        noise: standard deviation of the noise, in multiples of the bound of one patient's contribution.
        rate: probability with which each patient is part of each sum.
        times: number of sums.
    """

    noise: float
    rate: float
    times: int


def nothing() -> Curve:
    """The curve of what releases nothing."""
    return np.zeros(len(ORDERS))


def curve_of(mechanisms: Iterable[Mechanism]) -> Curve:
    """The curve of mechanisms one after the other."""
    return sum((one.times * _once(one.noise, one.rate) for one in mechanisms), nothing())


@lru_cache(maxsize=256)
def _once(noise: float, rate: float) -> Curve:
    """The curve of one sum."""
    # Slow to load, and only runs with noise need it.
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(ORDERS).compose(PoissonSampledDpEvent(rate, GaussianDpEvent(noise)))
    return np.asarray(accountant.rdp, np.float64)


def epsilon_of(curve: Curve, delta: float) -> float:
    """The epsilon of a curve at a delta in (0, 1): the least over the orders.

    Canonne, Kamath and Steinke 2020, arXiv:2004.00010, proposition 12.
    """
    from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

    epsilon, _ = compute_epsilon(ORDERS, curve, delta)
    return float(epsilon)


def least_noise(
    epsilon: float, delta: float, *, rate: float, times: int, before: Curve | None = None
) -> float:
    """The least noise with which so many sums spend no more than an epsilon at a delta.

    Args:
        epsilon: above 0.
        delta: in (0, 1).
        rate: probability with which each patient is part of each sum.
        times: number of sums.
        before: the curve of what else is released of the same patients.

    Raises:
        SettingsError: no noise is enough.
    """
    other = nothing() if before is None else before

    def fits(noise: float) -> bool:
        return epsilon_of(other + curve_of([Mechanism(noise, rate, times)]), delta) <= epsilon

    high = 1.0
    while not fits(high):
        high *= 2
        if high > _MOST_NOISE:
            remedy = "Give a larger epsilon, a smaller rate, or fewer rounds"
            what = f"No noise is enough for epsilon {epsilon:g} at delta {delta:g}"
            raise SettingsError(what, where="epsilon", remedy=remedy)
    low = high / 2
    while fits(low) and low > 1 / _MOST_NOISE:
        low, high = low / 2, low
    while high / low > 1 + _PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
