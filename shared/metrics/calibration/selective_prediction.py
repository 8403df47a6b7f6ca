"""Selective prediction: which predictions count as unsure, and how good the others are.

The rule: an answer is unsure if its calibrated top probability lies below a threshold. The threshold is the
highest bin edge at which at least COVERAGE of the validation images are sure (Geifman and El-Yaniv 2017 call
this a coverage, and the share of wrong answers among the sure ones their risk).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.shared.metrics.calibration.reliability import BINS, ConfidenceBins, bin_of

COVERAGE = 0.8
"""The share of validation images that are sure at least."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rule for "unsure", with its coverage and risk on validation images.

    Attributes:
        first_bin: the first bin of confidence that is sure.
        coverage: share of images that are sure.
        risk: share of the sure answers that are wrong.
        sure: number of sure images of each true class.
        found: share of these that the model has right; ``None`` where there is none.
    """

    first_bin: int
    coverage: float
    risk: float
    sure: tuple[int, ...]
    found: tuple[float | None, ...]

    @property
    def threshold(self) -> float:
        """The least top probability of a sure answer."""
        return self.first_bin / BINS

    def unsure(self, confidence: float) -> bool:
        """Whether an answer of this top probability is unsure."""
        return int(bin_of(confidence)) < self.first_bin


def select(bins: ConfidenceBins, coverage: float = COVERAGE) -> Selection:
    """The rule for a coverage.

    Args:
        bins: of calibrated probabilities of validation images.
        coverage: in (0, 1].
    """
    images = bins.images.sum()
    from_bin_on = np.cumsum(bins.images.sum(axis=0)[::-1])[::-1]
    first = int(np.flatnonzero(from_bin_on >= coverage * images)[-1])
    sure, right = bins.images[:, first:].sum(axis=1), bins.correct[:, first:].sum(axis=1)
    return Selection(
        first_bin=first,
        coverage=float(sure.sum() / images),
        risk=float(1 - right.sum() / sure.sum()),
        sure=tuple(sure.tolist()),
        found=tuple(
            hits / many if many else None for hits, many in zip(right.tolist(), sure.tolist(), strict=True)
        ),
    )
