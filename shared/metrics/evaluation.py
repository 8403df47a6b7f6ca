"""What a clinic sends about its validation images, and how several clinics' answers become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.predictions import PROBABILITY_FLOOR, checked_predictions, cross_entropy

BINS = 1000
"""Equal bins of [0, 1] in which scores are counted."""

MAX_IMAGES = 10**9
"""More images than any site has; keeps every sum of counts far from an int64's end."""

_REMEDY = "Install the same version of DermaFed at every site"


@dataclass(frozen=True, slots=True, eq=False)
class SiteEvaluation:
    """Sums over a site's validation images; the sums of several sites add.

    No figure is averaged: those of the merged sums are the figures of all sites' images together.

    Only counts leave a site, yet a histogram with one positive image tells that image's score to 1/1000.
    A site with few images of a class therefore reveals something about them; noise or a smallest count
    is the privacy part's work, not done here.

    Attributes:
        images: number of images.
        loss_sum: sum of the images' cross-entropies, in nats.
        confusion: int64 (C, C), rows are the truth, columns the prediction.
        histograms: int64 (C, 2, BINS), for each class the counts of its probability over equal bins of
            [0, 1], of images of other classes [0] and of the class itself [1].
    """

    images: int
    loss_sum: float
    confusion: NDArray[np.int64]
    histograms: NDArray[np.int64]

    @classmethod
    def from_predictions(cls, labels: ArrayLike, probabilities: ArrayLike) -> SiteEvaluation:
        """Sum up predictions.

        Args:
            labels: int (N,), indices of the true classes.
            probabilities: float (N, C) in [0, 1], rows sum to 1.

        Raises:
            DatasetError: there is no image.
            ValueError: the arrays do not fit each other, or hold NaN.
        """
        classes = np.shape(probabilities)[-1]
        truth, scores = checked_predictions(labels, probabilities, classes)
        confusion = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(confusion, (truth, scores.argmax(axis=1)), 1)
        histograms = np.zeros((classes, 2, BINS), dtype=np.int64)
        bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        every = np.arange(classes)
        np.add.at(histograms, (every, (truth[:, None] == every).astype(np.int64), bins), 1)
        return cls(truth.size, float(cross_entropy(truth, scores).sum()), confusion, histograms)

    def __add__(self, other: SiteEvaluation) -> SiteEvaluation:
        if self.confusion.shape != other.confusion.shape:
            raise FederationError("Two sites evaluated models of different classes", remedy=_REMEDY)
        return SiteEvaluation(
            self.images + other.images,
            self.loss_sum + other.loss_sum,
            self.confusion + other.confusion,
            self.histograms + other.histograms,
        )

    @property
    def accuracy(self) -> float:
        """Share of images whose most probable class is the true one."""
        return float(np.trace(self.confusion) / self.images)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images."""
        truth = self.confusion.sum(axis=1)
        return float(np.mean(np.diagonal(self.confusion)[truth > 0] / truth[truth > 0]))

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return self.loss_sum / self.images

    @property
    def auc(self) -> float | None:
        """Mean one-against-rest AUC; a pair of images in one bin counts a half. ``None`` with one class."""
        negatives, positives = self._two_sided()
        below = np.cumsum(negatives, axis=1) - negatives / 2
        return _mean_share((positives * below).sum(axis=1), negatives, positives)

    @property
    def auc_error(self) -> float | None:
        """Bound of ``|auc - exact AUC|``.

        Bins keep the order of scores, so only the pairs within one bin may be misjudged, each by a half
        at most: sum over bins of pos * neg / (2 * P * N), averaged over the classes as the AUC is.
        """
        negatives, positives = self._two_sided()
        return _mean_share((positives * negatives).sum(axis=1) / 2, negatives, positives)

    def _two_sided(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Histograms (classes with both sides, BINS) of the negatives and of the positives."""
        both = (self.histograms.sum(axis=2) > 0).all(axis=1)
        negatives, positives = self.histograms[both].astype(np.float64).swapaxes(0, 1)
        return negatives, positives

    def validate(self, classes: int) -> None:
        """Refuse an evaluation that no set of images could give.

        Args:
            classes: C of the model that was evaluated.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        if not 1 <= self.images <= MAX_IMAGES:
            _refuse(f"it counts {self.images} images")
        # The second comparison is false for NaN too.
        if not 0 <= self.loss_sum <= self.images * -np.log(PROBABILITY_FLOOR) * (1 + 1e-9):
            _refuse(f"its loss of {self.loss_sum} is impossible for {self.images} images")
        self._validate_counts("confusion matrix", self.confusion, (classes, classes))
        self._validate_counts("score histogram", self.histograms, (classes, 2, BINS))
        truth = self.confusion.sum(axis=1)
        sides = np.stack([self.images - truth, truth], axis=1)
        if self.confusion.sum() != self.images or not np.array_equal(self.histograms.sum(axis=2), sides):
            _refuse(f"its counts do not add up to {self.images} images")

    def _validate_counts(self, name: str, counts: NDArray[np.int64], shape: tuple[int, ...]) -> None:
        if counts.shape != shape or not np.issubdtype(counts.dtype, np.integer):
            _refuse(f"its {name} is {counts.dtype} {counts.shape}, not integer {shape}")
        if counts.min() < 0 or counts.max() > self.images:
            _refuse(f"its {name} has counts below 0 or above its {self.images} images")


def _mean_share(
    pairs: NDArray[np.float64], negatives: NDArray[np.float64], positives: NDArray[np.float64]
) -> float | None:
    """Mean over the classes of pairs / all pairs; ``None`` without a class."""
    if pairs.size == 0:
        return None
    return float(np.mean(pairs / (negatives.sum(axis=1) * positives.sum(axis=1))))


def _refuse(why: str) -> None:
    raise FederationError(f"A site's evaluation is refused: {why}", remedy=_REMEDY)
