"""How many melanomas and other lesions reach each threshold: all that an alert's figures need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.evaluation import BINS, ClinicEvaluation

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Unit = Literal["lesions", "images"]


@dataclass(frozen=True, slots=True)
class Alerts:
    """What an alert does at one threshold, in counts.

    Attributes:
        melanomas: number of melanomas.
        found: how many of them raise an alert.
        others: number of other lesions.
        alarms: how many of those raise an alert.
        unit: what is counted.
    """

    melanomas: int
    found: int
    others: int
    alarms: int
    unit: Unit = "lesions"

    @property
    def missed(self) -> int:
        """Melanomas without an alert."""
        return self.melanomas - self.found

    def __add__(self, other: Alerts) -> Alerts:
        """Those of both, each at its own threshold; of the same unit."""
        return Alerts(
            self.melanomas + other.melanomas,
            self.found + other.found,
            self.others + other.others,
            self.alarms + other.alarms,
            self.unit,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCounts:
    """Melanomas and others at or above each threshold; a score at or above the threshold raises an alert.

    Attributes:
        thresholds: float64 (K,), rising; every score counted is at or above the first.
        found: melanomas at or above each, int64 (K,), falling.
        alarms: others at or above each, int64 (K,), falling.
        unit: what is counted.
        hidden_melanomas: melanomas that clinics did not disclose the scores of.
        hidden_others: others that clinics did not disclose the scores of.
    """

    thresholds: Floats
    found: Ints
    alarms: Ints
    unit: Unit = "lesions"
    hidden_melanomas: int = 0
    hidden_others: int = 0

    @classmethod
    def of_lesions(cls, lesions: LesionScores) -> ScoreCounts:
        """The counts of one clinic's lesions at every score that one of them has."""
        scores = lesions.scores[:, lesions.melanoma]
        thresholds = np.unique(scores)
        found, alarms = (
            side.size - np.searchsorted(np.sort(side), thresholds)
            for side in (scores[lesions.is_melanoma], scores[~lesions.is_melanoma])
        )
        return cls(thresholds, found.astype(np.int64), alarms.astype(np.int64))

    @classmethod
    def of_evaluation(cls, evaluation: ClinicEvaluation, melanoma: int) -> ScoreCounts:
        """The counts at the edges of the bins of an evaluation, of one clinic or summed over clinics.

        An evaluation counts images, not lesions. What has left a clinic is without the images of classes that
        have fewer than five there (:func:`~dermafed.shared.metrics.evaluation.of_common_classes`): a clinic
        with one to four melanomas adds none, so what follows is true of the melanomas of the other clinics.
        The confusion matrix still has their number, which is :attr:`hidden_melanomas`.

        Args:
            evaluation: of a model.
            melanoma: index of the class of melanoma.
        """
        others, melanomas = evaluation.histograms[melanoma]
        truth = evaluation.confusion.sum(axis=1)
        return replace(
            counts_of_bins(others, melanomas),
            unit="images",
            hidden_melanomas=int(truth[melanoma] - melanomas.sum()),
            hidden_others=int(truth.sum() - truth[melanoma] - others.sum()),
        )

    @property
    def melanomas(self) -> int:
        """Number of melanomas counted."""
        return int(self.found[0])

    @property
    def others(self) -> int:
        """Number of others counted."""
        return int(self.alarms[0])

    @property
    def missed(self) -> Ints:
        """Melanomas below each threshold, int64 (K,), rising."""
        return self.melanomas - self.found

    def at(self, threshold: float) -> Alerts:
        """The counts at a threshold.

        Of scores in bins, those in the bin that the threshold divides count as below it.
        """
        place = int(np.searchsorted(self.thresholds, threshold))
        reached = place < self.thresholds.size
        found, alarms = (int(side[place]) if reached else 0 for side in (self.found, self.alarms))
        return Alerts(self.melanomas, found, self.others, alarms, self.unit)


def counts_of_bins(others: Ints, melanomas: Ints) -> ScoreCounts:
    """The counts at the starts of equal bins of [0, 1].

    Args:
        others: other lesions in each bin, int64 (BINS,).
        melanomas: melanomas in each bin, int64 (BINS,).
    """
    found, alarms = (np.cumsum(side[::-1])[::-1] for side in (melanomas, others))
    return ScoreCounts(_bin_starts(), found, alarms)


def _bin_starts() -> Floats:
    """The least score of each bin, float64 (BINS,): by rounding, some lie a little below k / BINS."""
    bins = np.arange(BINS)
    starts = bins / BINS
    starts = np.where((starts * BINS).astype(int) < bins, np.nextafter(starts, 1), starts)
    below = np.nextafter(starts, 0)
    return np.where((below * BINS).astype(int) >= np.maximum(bins, 1), below, starts)
