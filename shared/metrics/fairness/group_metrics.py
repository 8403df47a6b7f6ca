"""Metrics of a model in each group of images: observed, bootstrapped, and with the groups permuted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.reliability import BINS, ECE_BINS, bin_of
from dermafed.shared.metrics.intervals import draw_lesions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METRICS = ("balanced_accuracy", "melanoma_sensitivity", "calibration_error")
WORST = {"balanced_accuracy": np.min, "melanoma_sensitivity": np.min, "calibration_error": np.max}
"""Picks the metric of the group that the model serves worst."""


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """Predictions for test images; where a model was trained with several seeds, each seed's model in turn.

    Attributes:
        labels: indices of the true classes (N,).
        probabilities: (N, C).
        lesions: the number of each image's lesion or patient (N,), from 0 without a gap.
        seeds: the number of the model's seed (N,), from 0 without a gap.
        melanoma: index of the class of melanoma, if there is one.
    """

    labels: Ints
    probabilities: Floats
    lesions: Ints
    seeds: Ints
    melanoma: int | None

    @cached_property
    def predicted(self) -> Ints:
        """The most probable class of each image (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def confidence_error(self) -> Floats:
        """Top probability less 1 if it is right (N,)."""
        return np.asarray(self.probabilities.max(axis=1) - (self.predicted == self.labels))

    @cached_property
    def bins(self) -> Ints:
        """The bin of the calibration error that each top probability falls into (N,)."""
        return bin_of(self.probabilities.max(axis=1)) // (BINS // ECE_BINS)

    def subset(self, which: NDArray[np.bool_]) -> ImagePredictions:
        """Some of the images, bool (N,)."""
        _, lesions = np.unique(self.lesions[which], return_inverse=True)
        labels, probabilities = self.labels[which], self.probabilities[which]
        return ImagePredictions(labels, probabilities, lesions, self.seeds[which], self.melanoma)

    def confusions(self, groups: Ints, count: int, weights: Floats | None = None) -> Floats:
        """Confusion matrices (S, G, C, C) of each seed and group, rows the truth.

        Args:
            groups: the number of each image's group (N,).
            count: number of groups G.
            weights: of the images (N,); 1 by default.
        """
        seeds, classes = int(self.seeds.max()) + 1, self.probabilities.shape[1]
        place = ((self.seeds * count + groups) * classes + self.labels) * classes + self.predicted
        cells = np.bincount(place, weights, seeds * count * classes**2)
        return cells.reshape(seeds, count, classes, classes).astype(np.float64)

    def metrics(self, groups: Ints, count: int, weights: Floats | None = None) -> Floats:
        """METRICS (S, F, G) of each seed and group; arguments as of :meth:`confusions`.

        NaN where a class that is needed has no image in a group.
        """
        confusions = self.confusions(groups, count, weights)
        truth, hits = confusions.sum(axis=3), np.diagonal(confusions, axis1=2, axis2=3)
        recall = np.divide(hits, truth, out=np.full(hits.shape, np.nan), where=truth > 0)
        none = np.full(recall.shape[:2], np.nan)
        melanoma = none if self.melanoma is None else recall[..., self.melanoma]
        place = (self.seeds * count + groups) * ECE_BINS + self.bins
        off = self.confidence_error if weights is None else self.confidence_error * weights
        misses = np.bincount(place, off, none.size * ECE_BINS).reshape(*none.shape, ECE_BINS)
        images = truth.sum(axis=2)
        error = np.divide(np.abs(misses).sum(axis=2), images, out=none.copy(), where=images > 0)
        return np.asarray(np.stack([recall.mean(axis=2), melanoma, error], axis=1))


def resampled(images: ImagePredictions, groups: Ints, count: int, *, number: int, seed: int = 0) -> Floats:
    """METRICS (R, S, F, G) where lesions are drawn with replacement.

    They are drawn within those of the same classes, groups and seeds, so that no class ever vanishes from a
    group, and for all groups and seeds at once: differences are paired. The same images and seed give the
    same draws.
    """
    cells = (images.seeds * count + groups) * images.probabilities.shape[1] + images.labels
    draws = draw_lesions(cells, images.lesions, np.random.default_rng(seed), number)
    return np.array([images.metrics(groups, count, drawn[images.lesions]) for drawn in draws])


def permuted(images: ImagePredictions, groups: Ints, count: int, *, number: int, seed: int = 0) -> Floats:
    """METRICS (R, F, G), means over the seeds, where lesions of the same class exchange groups at random.

    Every group has the same number of images of each class, so what groups differ by here is chance, and the
    bias of a metric from few images.
    """
    rng, alike = np.random.default_rng(seed), _alike(images)
    found = []
    for _ in range(number):
        drawn = groups.copy()
        for rows in alike:
            drawn[rows] = groups[rng.permutation(rows)]
        found.append(images.metrics(drawn, count).mean(axis=0))
    return np.array(found)


def _alike(images: ImagePredictions) -> list[Ints]:
    """The images (L, k) of each L lesions that have the same number k of images, of the same classes."""
    order = np.lexsort((images.labels, images.seeds, images.lesions))
    starts = np.flatnonzero(np.diff(images.lesions[order], prepend=-1))
    strata: dict[bytes, list[Ints]] = {}
    for rows in np.split(order, starts[1:]):
        strata.setdefault(np.array([images.seeds[rows], images.labels[rows]]).tobytes(), []).append(rows)
    return [np.array(lesions) for lesions in strata.values()]
