"""Out-of-distribution detection: the Mahalanobis distance of an image's features.

Lee, Lee, Lee and Shin 2018 measure the distance of the pooled features from the training images'. Here the
features are divided by their length first, as Müller and Hein 2025 do, and one mean serves all classes:
measured (``docs/calibration.md``), the first helps and a mean for each class does not. The covariance is
shrunk (Ledoit and Wolf 2004), since a clinic may have fewer images than the network has features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError

WITHIN_THRESHOLD = 0.95
"""The share of validation images that lie within the threshold."""

FEWEST_IMAGES = 20
"""Fewer validation images have no such share."""

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class OutOfDistribution:
    """Detector of images unlike a clinic's own, by the features of a network; it stays at the clinic.

    Attributes:
        mean: of the training images' features, float32 (K,).
        whitening: matrix that takes their covariance to the identity, float32 (K, K), lower triangular.
        threshold: the score that WITHIN_THRESHOLD of the validation images do not exceed.
        images: number of validation images.
    """

    mean: Features
    whitening: NDArray[np.float32]
    threshold: float
    images: int

    @classmethod
    def fit(cls, training: Features, validation: Features) -> OutOfDistribution:
        """Fit to a clinic's own images.

        Args:
            training: pooled features of training images, (N, K).
            validation: those of other images, (M, K): the training images themselves would be too near.

        Raises:
            DatasetError: there are too few images.
        """
        if min(len(training), len(validation)) < FEWEST_IMAGES:
            raise DatasetError(
                f"{len(training)} training and {len(validation)} validation images are too few to fit "
                "an out-of-distribution detector",
                remedy=f"Give at least {FEWEST_IMAGES} of each",
            )
        from sklearn.covariance import ledoit_wolf

        directions = _directions(training)
        mean = directions.mean(axis=0)
        covariance, _ = ledoit_wolf(directions - mean, assume_centered=True)
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        placed = cls(mean.astype(np.float32), whitening.astype(np.float32), np.inf, len(validation))
        threshold = np.quantile(placed.scores(validation), WITHIN_THRESHOLD, method="higher")
        return cls(placed.mean, placed.whitening, float(threshold), placed.images)

    def scores(self, features: Features) -> NDArray[np.float64]:
        """The distances (N,) of pooled features (N, K), over the root of K: about 1 in distribution."""
        away = (_directions(features) - self.mean).astype(np.float32) @ self.whitening.T
        return np.sqrt(np.mean(away**2, axis=1, dtype=np.float64))


def _directions(features: Features) -> NDArray[np.float64]:
    exact = features.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.maximum(lengths, np.finfo(np.float32).tiny))
