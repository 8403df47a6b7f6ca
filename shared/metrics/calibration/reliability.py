"""Reliability: how often a model is right at each level of confidence, as counts by top probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.intervals import Interval, wilson

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

ECE_BINS = 15
"""Equal-width bins of the expected calibration error, as in Guo et al. 2017."""

BINS = 4 * ECE_BINS
"""Equal-width bins that are counted: four to each of the ECE's, for the threshold of "unsure"."""

RESAMPLES = 1000
BOOTSTRAP = "percentile bootstrap from counts, images taken as independent"


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bar of the reliability diagram.

    Attributes:
        low: where the bin begins.
        high: where it ends.
        images: how many have their top probability there.
        confidence: their mean top probability.
        accuracy: the share of them that the model has right.
        interval: of the accuracy.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceBins:
    """Counts of images by their top probability; those of several clinics add.

    Attributes:
        images: of each true class, int64 (C, BINS).
        correct: those of them whose most probable class is the true one, int64 (C, BINS).
        confidence: sum of their top probabilities, float64 (BINS,).
    """

    images: Counts
    correct: Counts
    confidence: Floats

    @classmethod
    def count(cls, labels: NDArray[np.int64], probabilities: Floats) -> ConfidenceBins:
        """Count predictions.

        Args:
            labels: indices of the true classes, (N,).
            probabilities: (N, C).
        """
        classes, top = probabilities.shape[1], probabilities.max(axis=1)
        images, correct = np.zeros((2, classes, BINS), np.int64)
        bins = bin_of(top)
        np.add.at(images, (labels, bins), 1)
        np.add.at(correct, (labels, bins), (probabilities.argmax(axis=1) == labels).astype(np.int64))
        return cls(images, correct, np.bincount(bins, top, BINS).astype(np.float64))

    def __add__(self, other: ConfidenceBins) -> ConfidenceBins:
        return ConfidenceBins(
            self.images + other.images, self.correct + other.correct, self.confidence + other.confidence
        )

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy, weighted by images.

        It is biased upwards with few images: those of a perfectly calibrated model do not give 0.
        """
        images, correct, confidence = self._wide()
        return float(np.abs(confidence - correct).sum() / images.sum())

    def error_interval(self, seed: int = 0) -> Interval:
        """95 % interval of the error; within a bin, every image counts with the mean confidence."""
        images, correct, confidence = self._wide()
        cells = np.concatenate([correct, images - correct])
        drawn = np.random.default_rng(seed).multinomial(images.sum(), cells / cells.sum(), RESAMPLES)
        right, wrong = np.split(drawn, 2, axis=1)
        mean = confidence / np.maximum(images, 1)
        errors = np.abs((right + wrong) * mean - right).sum(axis=1) / images.sum()
        low, high = np.percentile(errors, [2.5, 97.5])
        return Interval(float(low), float(high), BOOTSTRAP)

    def bars(self) -> tuple[ReliabilityBin, ...]:
        """The bins of the ECE that have images."""
        found = []
        for place, (images, correct, confidence) in enumerate(zip(*self._wide(), strict=True)):
            interval = wilson(int(correct), int(images))
            if interval is not None:
                edges = (place / ECE_BINS, (place + 1) / ECE_BINS)
                means = (float(confidence / images), float(correct / images))
                found.append(ReliabilityBin(*edges, int(images), *means, interval))
        return tuple(found)

    def validate(self, images: int, classes: int) -> None:
        """Refuse counts that no images could give.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        for counts in (self.images, self.correct):
            if counts.shape != (classes, BINS) or counts.dtype != np.int64 or counts.min() < 0:
                raise FederationError("bins of confidence have another shape, or counts below 0")
        if self.images.sum() != images or (self.correct > self.images).any():
            raise FederationError(f"bins of confidence do not add up to {images} images")
        edges, count, slack = np.arange(BINS + 1) / BINS, self.images.sum(axis=0), 1e-9 * images
        low, high = count * edges[:-1] - slack, count * edges[1:] + slack
        if (
            self.confidence.shape != (BINS,)
            or not ((low <= self.confidence) & (self.confidence <= high)).all()
        ):
            raise FederationError("sums of confidence lie outside their bins")

    def _wide(self) -> tuple[Counts, Counts, Floats]:
        """Images, correct ones and sums of confidence in the ECE's bins."""
        images, correct = self.images.sum(axis=0), self.correct.sum(axis=0)
        return _fold(images), _fold(correct), np.asarray(self.confidence.reshape(ECE_BINS, -1).sum(axis=1))


def bin_of(confidence: Floats | float) -> NDArray[np.int64]:
    """The bin, of BINS, that a top probability falls into; 1 belongs to the last."""
    return np.minimum((np.asarray(confidence) * BINS).astype(np.int64), BINS - 1)


def _fold(counts: Counts) -> Counts:
    return np.asarray(counts.reshape(ECE_BINS, -1).sum(axis=1))
