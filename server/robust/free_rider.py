"""A clinic that does not train: it sends the model back, as it came or with noise."""

from __future__ import annotations

import math

SHORTEST = 1e-3
"""Times the median below which a step is none."""

NOISE = 4.0
"""Standard deviations of the cosine of noise, below which a step's cosine to the others says nothing."""

CLEAR = 10.0
"""How many times that the cosines of most clinics must be, for a single one to mean something."""

COMMON = 0.1
"""And how large: of clinics whose steps have little in common, an honest one's is often near 0."""


def free_ride(times_median: float, cosine: float, usual_cosine: float, moved: int) -> str:
    """Why a step is not that of a training, in words; empty if it may be.

    The cosine of noise with any direction has a standard deviation of 1 / sqrt(d).

    Args:
        times_median: norm of the step, as a multiple of the round's median; NaN if that is 0.
        cosine: its mean cosine to the steps of the other clinics; NaN if it has none.
        usual_cosine: lower median of these cosines over the clinics.
        moved: number d of weights that anyone has changed.
    """
    if times_median < SHORTEST:
        return f"it sends back the model that it got: its step is {times_median:.2g} times the median"
    noise = NOISE / math.sqrt(max(moved, 1))
    if abs(cosine) < noise and usual_cosine > max(CLEAR * noise, COMMON):
        return f"its step has nothing in common with the others' (cosine {cosine:.1g}), as noise has"
    return ""
