"""What a clinic sends for the exact head: sums of its images' features, which add up over clinics.

A = sum w phi phi^T and B = sum w phi y^T, phi the features with a 1 behind them, y = 2 onehot - 1. With the
1, A holds the moments too: its last row the weighted sums of the features, its corner the total weight.
(FED3R: Fani, Camoriano, Caputo and Ciccone 2024, arXiv:2402.01898, eq. 5; AFL: He et al. 2025,
arXiv:2405.16240.) Whoever adds up all clinics' sums has what one pass over all images gives.

A of n images has rank n. With n <= K, whoever has A can tell of any image whether it is among them: its
features then lie in A's span, and those of other images hardly ever do. With n > K everything lies in it.
Beyond that, A = Phi^T Phi shows the features Phi up to a rotation of the images among each other. The 1 and
the sums of the C classes fix C + 1 directions of it: of n <= C + 1 images all is known, of few images much.
So a clinic with few images sends none (:func:`check_enough_images`). To ask for more images than features
would shut most real clinics out: the plan says how many it needs, and the clinic what it accepts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError, FederationError, ModelError
from dermafed.shared.metrics.evaluation import FEWEST_OF_A_CLASS, MAX_IMAGES

Floats = NDArray[np.float64]

LARGEST_FEATURE = 1e6
"""Larger than any feature of a network that can be used, and so small that no sum overflows."""

_REMEDY = "Install the same version of DermaFed at every clinic"


@dataclass(frozen=True, slots=True, eq=False)
class HeadSums:
    """Weighted sums over images with K features; those of several clinics add.

    Attributes:
        gram: A, float64 (K + 1, K + 1), symmetric.
        targets: B, float64 (K + 1, C).
        counts: images of each class, int64 (C,).
    """

    gram: Floats
    targets: Floats
    counts: NDArray[np.int64]

    @classmethod
    def none(cls, features: int, classes: int) -> HeadSums:
        """Those of no image."""
        size = features + 1
        return cls(np.zeros((size, size)), np.zeros((size, classes)), np.zeros(classes, np.int64))

    @classmethod
    def of(cls, features: NDArray[np.floating], labels: NDArray[np.int64], weights: Floats) -> HeadSums:
        """Sum up a batch.

        Args:
            features: (N, K); N may be 0.
            labels: indices of the true classes, (N,).
            weights: of an image of each class, (C,); the images of a class with weight 0 are left out.

        Raises:
            ModelError: a feature is NaN, infinite, or beyond LARGEST_FEATURE.
        """
        if not (np.abs(features) <= LARGEST_FEATURE).all():  # NaN is not below it
            raise ModelError(
                "The network's features are not finite, or far too large", remedy="Use other first weights"
            )
        known = weights[labels] > 0
        exact, labels = features[known].astype(np.float64), labels[known]
        phi = np.concatenate([exact, np.ones((len(exact), 1))], axis=1)
        classes = len(weights)
        weighted = phi * weights[labels, None]
        gram = weighted.T @ phi
        targets = weighted.T @ (2.0 * np.eye(classes)[labels] - 1)
        counts = np.bincount(labels, minlength=classes).astype(np.int64)
        return cls((gram + gram.T) / 2, targets, counts)

    def __add__(self, other: HeadSums) -> HeadSums:
        if self.targets.shape != other.targets.shape:
            raise FederationError("Two clinics summed up other features or classes", remedy=_REMEDY)
        return HeadSums(self.gram + other.gram, self.targets + other.targets, self.counts + other.counts)

    def times(self, factor: float) -> HeadSums:
        """A and B times a factor, as if every image weighed so much more; the counts are the same."""
        return HeadSums(factor * self.gram, factor * self.targets, self.counts)

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.counts.sum())

    @property
    def features(self) -> int:
        """Number of features K."""
        return len(self.gram) - 1

    @property
    def class_weights(self) -> Floats:
        """What an image of each class weighed, (C,), by B's last row; NaN for a class without images."""
        mine = (self.targets[-1] + self.gram[-1, -1]) / 2
        return np.asarray(np.divide(mine, self.counts, out=np.full(len(mine), np.nan), where=self.counts > 0))

    def validate(self, classes: int) -> None:
        """Refuse sums that no set of images could give, whatever the classes weigh.

        Args:
            classes: C of the model.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        size = len(self.gram)
        shapes = (self.gram.shape, self.targets.shape, self.counts.shape)
        if size < 2 or shapes != ((size, size), (size, classes), (classes,)):
            raise _refusal("they have another shape")
        if self.counts.dtype != np.int64 or self.counts.min() < 0 or not 1 <= self.images <= MAX_IMAGES:
            raise _refusal("their counts are impossible")
        if not (np.isfinite(self.gram).all() and np.isfinite(self.targets).all()):
            raise _refusal("they are not finite")
        # B's last row has each class's weight, less that of the others; A's corner has all.
        total, mine = self.gram[-1, -1], (self.targets[-1] + self.gram[-1, -1]) / 2
        rounding = 1e-9 * abs(total)
        if abs(mine.sum() - total) > rounding or ((mine > rounding) != (self.counts > 0)).any():
            raise _refusal("they disagree with their counts")
        self._validate_moments(total)

    def _validate_moments(self, total: float) -> None:
        if not np.array_equal(self.gram, self.gram.T):
            raise _refusal("A is not symmetric")
        largest = np.sqrt(np.maximum(np.diag(self.gram), 0) * total) * (1 + 1e-6) + 1e-9
        # Cauchy and Schwarz: |sum w phi y| <= sqrt(sum w phi^2 sum w), and so for A's last row.
        if not (
            (np.abs(self.gram[-1]) <= largest).all() and (np.abs(self.targets) <= largest[:, None]).all()
        ):
            raise _refusal("no features have these moments")
        if np.linalg.eigvalsh(self.gram)[0] < -1e-9 * max(np.trace(self.gram), 1.0):
            raise _refusal("A has a negative direction")


def sum_up(
    batches: Iterable[tuple[NDArray[np.floating], NDArray[np.int64]]], features: int, weights: Floats
) -> HeadSums:
    """Sum up batches of features (N, K) and labels (N,), one at a time in the memory.

    Args:
        batches: of a clinic's images.
        features: K.
        weights: of an image of each class, (C,).

    Raises:
        ModelError: a feature is not finite.
    """
    found = HeadSums.none(features, len(weights))
    for batch, labels in batches:
        found = found + HeadSums.of(batch, labels, weights)
    return found


def weights_of_common(labels: NDArray[np.int64], weights: Floats) -> Floats:
    """The weights (C,) with 0 for the classes that have fewer than FEWEST_OF_A_CLASS images at the clinic.

    Args:
        labels: of all the clinic's images that would be summed up, (N,).
        weights: of an image of each class, (C,).
    """
    counts = np.bincount(labels, minlength=len(weights))
    return np.where(counts >= FEWEST_OF_A_CLASS, weights, 0.0)


def check_enough_images(images: int, least: int) -> None:
    """Refuse to send the sums of few images.

    Args:
        images: number of images of common classes.
        least: the least number, by the plan.

    Raises:
        DatasetError: there are fewer.
    """
    if images < max(least, 1):
        raise DatasetError(
            f"{images} images are too few for an exact head, whose sums would show their features",
            remedy=f"Give at least {least}, or take part in a run with another strategy",
        )


def to_triangle(gram: Floats) -> Floats:
    """The upper triangle of A, row by row, ((K + 1)(K + 2) / 2,): half the bytes."""
    return np.asarray(gram[np.triu_indices(len(gram))])


def from_triangle(values: Floats, size: int) -> Floats:
    """The symmetric matrix (size, size) of :func:`to_triangle`."""
    gram = np.zeros((size, size))
    gram[np.triu_indices(size)] = values
    return np.asarray(gram + np.triu(gram, 1).T)


def _refusal(why: str) -> FederationError:
    return FederationError(f"A clinic's sums for the head are refused: {why}", remedy=_REMEDY)
