"""Evaluation of a model on a clinic's validation images, as sums that add up over clinics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.shared.errors import DatasetError, FederationError

PROBABILITY_FLOOR = 1e-7
"""The least probability a loss sees; Keras clips at the same value."""
BINS = 1000
"""Equal bins of [0, 1] in which scores are counted."""
FEWEST_OF_A_CLASS = 5
"""A class with fewer images at a clinic is counted in its confusion matrix only."""
MAX_IMAGES = 10**9
"""More images than any clinic has; every sum of counts stays far below the largest int64."""
_REMEDY = "Install the same version of DermaFed at every clinic"


def checked_predictions(
    labels: ArrayLike, probabilities: ArrayLike, classes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Refuse predictions from which no metric can be computed.

    Args:
        labels: int (N,), indices of the true classes.
        probabilities: float (N, C) in [0, 1], each row sums to 1 (within 1e-3).
        classes: C.

    Returns:
        Labels as int64 (N,) and probabilities as float64 (N, C), otherwise unchanged.

    Raises:
        DatasetError: there is no image.
        ValueError: shapes do not fit, a label is not a class, a row is not a distribution (NaN included).
    """
    truth = np.asarray(labels)
    scores = np.asarray(probabilities, dtype=np.float64)
    if truth.size == 0:
        raise DatasetError("There is no image to evaluate", remedy="Give a test set with labelled images")
    if scores.shape != (truth.size, classes) or truth.ndim != 1:
        raise ValueError(
            f"labels {truth.shape} and probabilities {scores.shape} are not (N,) and (N, {classes})"
        )
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= classes:
        raise ValueError(f"labels must be integers from 0 to {classes - 1}")
    if not (scores.min() >= 0 and scores.max() <= 1 and np.allclose(scores.sum(axis=1), 1, atol=1e-3)):
        raise ValueError("every row of probabilities must be finite, in [0, 1] and sum to 1")
    return truth.astype(np.int64), scores


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loss of each image: -log of its true class' probability, in nats.

    Args:
        labels: int64 (N,).
        probabilities: float64 (N, C).

    Returns:
        float64 (N,), from 0 to ``-log(PROBABILITY_FLOOR)`` = 16.1.
    """
    true_class = probabilities[np.arange(labels.size), labels]
    return -np.log(np.clip(true_class, PROBABILITY_FLOOR, 1.0))


def of_common_classes(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which images have a class of at least FEWEST_OF_A_CLASS images: bool (N,).

    A sum or a histogram over fewer comes close to a single image's score. The images of a rare class are left
    out of the other classes' histograms too: the difference of two histograms would show them.

    Args:
        labels: indices of the true classes, (N,).
    """
    return np.bincount(labels)[labels] >= FEWEST_OF_A_CLASS


@dataclass(frozen=True, slots=True, eq=False)
class ClinicEvaluation:
    """Sums over a clinic's validation images; the sums of several clinics add.

    No metric is averaged: the metrics of the merged sums are those of all clinics' images together.

    Attributes:
        images: number of images.
        loss_sum: sum of the cross-entropies of the images in the histograms, in nats.
        confusion: int64 (C, C), rows are the truth, columns the prediction.
        histograms: int64 (C, 2, BINS), for each class the counts of its probability over equal bins of
            [0, 1], of images of other classes [0] and of the class itself [1].
    """

    images: int
    loss_sum: float
    confusion: NDArray[np.int64]
    histograms: NDArray[np.int64]

    @classmethod
    def from_predictions(
        cls, labels: ArrayLike, probabilities: ArrayLike, *, shows_rare: bool = True
    ) -> ClinicEvaluation:
        """Sum up predictions.

        Args:
            labels: int (N,), indices of the true classes.
            probabilities: float (N, C) in [0, 1], rows sum to 1.
            shows_rare: whether loss and histograms have the images of all classes, or only those of
                :func:`of_common_classes`, as befits what leaves a clinic.

        Raises:
            DatasetError: there is no image.
            ValueError: the arrays do not fit each other, or contain NaN.
        """
        classes = np.shape(probabilities)[-1]
        truth, scores = checked_predictions(labels, probabilities, classes)
        confusion = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(confusion, (truth, scores.argmax(axis=1)), 1)
        images = truth.size
        if not shows_rare:
            common = of_common_classes(truth)
            truth, scores = truth[common], scores[common]
        histograms = np.zeros((classes, 2, BINS), dtype=np.int64)
        bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        every = np.arange(classes)
        np.add.at(histograms, (every, (truth[:, None] == every).astype(np.int64), bins), 1)
        return cls(images, float(cross_entropy(truth, scores).sum()), confusion, histograms)

    @classmethod
    def with_noise(cls, confusion: NDArray[np.float64]) -> ClinicEvaluation:
        """Of a confusion matrix with noise (C, C), without loss and histograms.

        Counts become whole, and none is below 0. Where nothing is left, one counts as of class 0, so that
        there is an evaluation.
        """
        counts = np.maximum(np.rint(confusion), 0).astype(np.int64)
        counts[0, 0] += not counts.any()
        return cls(int(counts.sum()), 0.0, counts, np.zeros((len(counts), 2, BINS), np.int64))

    def __add__(self, other: ClinicEvaluation) -> ClinicEvaluation:
        if self.confusion.shape != other.confusion.shape:
            raise FederationError("Two clinics evaluated models of different classes", remedy=_REMEDY)
        return ClinicEvaluation(
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
        """Mean cross-entropy in nats of the images in the histograms; NaN if there are none."""
        images = self.histograms[:, 1].sum()
        return float(self.loss_sum / images) if images else math.nan

    @property
    def auc(self) -> float | None:
        """Mean one-against-rest AUC; a pair of images in one bin counts a half. ``None`` with one class."""
        negatives, positives = self._two_sided()
        below = np.cumsum(negatives, axis=1) - negatives / 2
        return _mean_share((positives * below).sum(axis=1), negatives, positives)

    @property
    def auc_error(self) -> float | None:
        """Bound of ``|auc - exact AUC|``.

        Bins preserve the order of scores, so only the pairs within one bin can be wrong, each by a half
        at most: sum over bins of pos * neg / (2 * P * N), averaged over the classes as the AUC is.
        """
        negatives, positives = self._two_sided()
        return _mean_share((positives * negatives).sum(axis=1) / 2, negatives, positives)

    def _two_sided(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Histograms (classes with both sides, BINS) of the negatives and of the positives."""
        both = (self.histograms.sum(axis=2) > 0).all(axis=1)
        negatives, positives = self.histograms[both].astype(np.float64).swapaxes(0, 1)
        return negatives, positives

    def validate(self, classes: int, *, scores: bool = True) -> None:
        """Refuse an evaluation that no set of images could give.

        Args:
            classes: C of the model that was evaluated.
            scores: whether there are histograms and a loss, as there are without differential privacy.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        if not 1 <= self.images <= MAX_IMAGES:
            _refuse(f"it counts {self.images} images")
        self._validate_counts("confusion matrix", self.confusion, (classes, classes))
        self._validate_counts("score histogram", self.histograms, (classes, 2, BINS))
        truth, counted = self.confusion.sum(axis=1), self.histograms[:, 1].sum(axis=1)
        whole = (counted == truth) | ((counted == 0) & (truth < FEWEST_OF_A_CLASS))
        if not scores:
            whole = counted == 0
        others = counted.sum() - counted
        if (
            self.confusion.sum() != self.images
            or not (whole & (self.histograms[:, 0].sum(axis=1) == others)).all()
        ):
            _refuse(f"its counts do not add up to {self.images} images")
        # False for NaN too.
        if not 0 <= self.loss_sum <= counted.sum() * -np.log(PROBABILITY_FLOOR) * (1 + 1e-9):
            _refuse(f"its loss of {self.loss_sum} is impossible for {counted.sum()} images")

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
    raise FederationError(f"A clinic's evaluation is refused: {why}", remedy=_REMEDY)
