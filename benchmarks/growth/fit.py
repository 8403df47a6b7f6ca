"""The exponent of a cost: least squares of its logarithm against that of the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LINEAR = 1.1
"""The largest exponent that still counts as linear; sorting 100,000 values has about 1.09."""

_FEWEST = 3


@dataclass(frozen=True)
class Exponent:
    """The power of the size with which a cost grows.

    Attributes:
        value: the slope of the fitted line.
        half_width: half its 95 % interval (Student's t with n - 2 degrees of freedom).
        start: the smallest size of the fit.
    """

    value: float
    half_width: float
    start: int

    @property
    def linear(self) -> str:
        """Whether the cost grows at most linearly: ``yes``, ``no``, or ``within error``."""
        if self.value <= LINEAR:
            return "yes"
        return "within error" if self.value - self.half_width <= LINEAR else "no"


def exponent(sizes: Sequence[int], costs: Sequence[float], larger: int) -> Exponent:
    """Fit the larger sizes, since at small ones what every call costs hides the growth.

    Args:
        sizes: ascending, at least 1.
        costs: of each, above 0.
        larger: how many of the largest sizes are fitted, at least three.

    Raises:
        ValueError: fewer sizes than that.
    """
    if larger < _FEWEST or len(sizes) < larger or len(sizes) != len(costs):
        raise ValueError(f"{len(sizes)} sizes and {len(costs)} costs for a fit of {larger}")
    x, y = np.log(sizes[-larger:]), np.log(costs[-larger:])
    line = stats.linregress(x, y)
    t = stats.t.ppf(0.975, larger - 2)
    return Exponent(float(line.slope), float(t * line.stderr), int(sizes[-larger]))
