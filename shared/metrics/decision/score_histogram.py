"""Scores of melanoma of validation lesions, in bins: what clinics add up to choose a threshold together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.score_counts import ScoreCounts, counts_of_bins
from dermafed.shared.metrics.evaluation import BINS, FEWEST_OF_A_CLASS, MAX_IMAGES, of_common_classes

_REMEDY = "Install the same version of DermaFed at every clinic"


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistogram:
    """Lesions by their score of melanoma, in equal bins of [0, 1]; those of several clinics add.

    Attributes:
        counts: int64 (2, BINS), of other lesions [0] and of melanomas [1].
    """

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, lesions: LesionScores, *, shows_rare: bool = True) -> ScoreHistogram:
        """Count lesions.

        Args:
            lesions: of a validation set.
            shows_rare: whether lesions of all classes are counted, or only those of
                :func:`~dermafed.shared.metrics.evaluation.of_common_classes`, as befits what leaves a clinic.

        Raises:
            DatasetError: with ``shows_rare=False``, no class has enough lesions.
        """
        scores, melanoma = lesions.scores[:, lesions.melanoma], lesions.is_melanoma
        if not shows_rare:
            common = of_common_classes(lesions.labels)
            scores, melanoma = scores[common], melanoma[common]
            if not scores.size:
                raise DatasetError(
                    "No class has enough validation lesions to count their scores",
                    remedy=f"Give at least {FEWEST_OF_A_CLASS} of one class",
                )
        counts = np.zeros((2, BINS), dtype=np.int64)
        bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        np.add.at(counts, (melanoma.astype(np.int64), bins), 1)
        return cls(counts)

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(self.counts + other.counts)

    @property
    def lesions(self) -> int:
        """Number of lesions."""
        return int(self.counts.sum())

    @property
    def at_thresholds(self) -> ScoreCounts:
        """Melanomas and others at or above the start of each bin."""
        return counts_of_bins(*self.counts)

    def validate(self) -> None:
        """Refuse counts that no set of lesions could give, or that show a class of few.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        if self.counts.shape != (2, BINS) or self.counts.dtype != np.int64:
            raise _refusal(f"they are {self.counts.dtype} {self.counts.shape}")
        if self.counts.min() < 0 or self.counts.max() > MAX_IMAGES:
            raise _refusal("they are below 0 or too many")
        sides = self.counts.sum(axis=1)
        if not FEWEST_OF_A_CLASS <= sides.sum() <= MAX_IMAGES:
            raise _refusal(f"they are of {sides.sum()} lesions")
        if ((sides > 0) & (sides < FEWEST_OF_A_CLASS)).any():
            raise _refusal("they show a class of few lesions")


def _refusal(why: str) -> FederationError:
    return FederationError(f"A clinic's counts of scores are refused: {why}", remedy=_REMEDY)
