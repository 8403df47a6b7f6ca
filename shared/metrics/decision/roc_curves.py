"""ROC curves of many weightings of the same images at once, and what is read from them.

The curve goes through the sensitivity and specificity of every threshold that a score gives, with straight
lines between them (Fawcett 2006, section 5): so its area is the Mann-Whitney statistic, ties counting a half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDING = 1e-9  # of sums of weights


@dataclass(frozen=True, slots=True, eq=False)
class RocCurves:
    """The points of R curves, from the highest threshold, which no score reaches, to the lowest.

    Attributes:
        sensitivity: float64 (R, K), rising from 0 to 1.
        specificity: float64 (R, K), falling from 1 to 0.
    """

    sensitivity: Floats
    specificity: Floats

    @classmethod
    def of(cls, scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> RocCurves:
        """The curves of scores, one for each weighting of the images.

        Args:
            scores: float64 (N,).
            positive: bool (N,), with both values.
            weights: float64 (R, N), at least 0, not all 0 on either side.
        """
        order = np.argsort(-scores, kind="stable")
        last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of each run of equal scores
        sides = []
        for side in (positive, ~positive):
            reached = np.cumsum(weights[:, order] * side[order], axis=1)[:, last]
            sides.append(np.pad(reached / reached[:, -1:], ((0, 0), (1, 0))))
        return cls(sides[0], 1 - sides[1])

    @property
    def auc(self) -> Floats:
        """Area under each curve, (R,)."""
        return self.area_above(0.0)

    def area_above(self, sensitivity: float) -> Floats:
        """The part of the area that lies above a sensitivity, (R,), from 0 to 1 - sensitivity.

        Above 0.8 it is the pAUC of the ISIC 2024 challenge, from 0 to 0.2; a random order has 0.02.
        """
        low, high = self.sensitivity[:, :-1], self.sensitivity[:, 1:]
        first, last = self.specificity[:, :-1], self.specificity[:, 1:]
        start = np.clip(sensitivity, low, high)
        rise = np.where(high > low, high - low, 1.0)
        at_start = first + (last - first) * (start - low) / rise
        return np.asarray(((high - start) * (at_start + last) / 2).sum(axis=1))

    def specificity_at(self, sensitivity: float) -> Floats:
        """The highest specificity of a threshold with at least this sensitivity, (R,)."""
        enough = (self.sensitivity >= sensitivity - _ROUNDING).argmax(axis=1)
        return np.asarray(self.specificity[np.arange(len(enough)), enough])
