"""Temperature scaling: one number divides the logits, so that probabilities match observed frequencies.

Guo, Pleiss, Sun and Weinberger 2017, section 4.2. The temperature has the least negative log-likelihood
on validation images. It is found from sums at a fixed grid of temperatures: those of several clinics add.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.float64]

TEMPERATURES: Floats = 2.0 ** np.arange(-3, 4.25, 0.25)
"""Where the negative log-likelihood is summed: 1/8 to 16, four to a doubling, 1 among them."""

_LOGS = np.log(TEMPERATURES)


def losses(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> Floats:
    """Negative log-likelihood in nats, summed over images, at each of the TEMPERATURES.

    Args:
        logits: (N, C).
        labels: indices of the true classes, (N,).
    """
    exact, every = logits.astype(np.float64), np.arange(len(labels))
    scaled = (log_softmax(exact / temperature, axis=1)[every, labels] for temperature in TEMPERATURES)
    return np.array([-each.sum() for each in scaled])


def best_temperature(summed: Floats) -> float:
    """The temperature of the least negative log-likelihood, between the grid's ends.

    A spline through the sums finds it between the grid's points. There is one minimum: the negative
    log-likelihood is convex in 1/T.

    Args:
        summed: from :func:`losses`.
    """
    least = int(np.argmin(summed))
    if np.ptp(summed) <= 1e-9 * abs(summed[least]):  # constant logits: every temperature is the same
        return 1.0
    low, high = max(least - 1, 0), min(least + 1, len(TEMPERATURES) - 1)
    between = np.geomspace(TEMPERATURES[low], TEMPERATURES[high], 2001)
    return float(between[np.argmin(_interpolated(summed, between))])


def loss_at(summed: Floats, temperature: float) -> float:
    """The summed negative log-likelihood at a temperature between the grid's ends."""
    return float(_interpolated(summed, temperature))


def _interpolated(summed: Floats, temperatures: Floats | float) -> Floats:
    # Not above: a server that does not calibrate spares 20 MB.
    from scipy.interpolate import CubicSpline

    curve: Floats = CubicSpline(_LOGS, summed)(np.log(temperatures))
    return curve
