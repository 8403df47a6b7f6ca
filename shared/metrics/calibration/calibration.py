"""Calibration of a model on validation images, and its use on one image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.out_of_distribution import OutOfDistribution
from dermafed.shared.metrics.calibration.selective_prediction import Selection, select
from dermafed.shared.metrics.decision.alert_rule import AlertRule

if TYPE_CHECKING:  # without it, reading a calibration would load Keras
    from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of one model: its temperature, its reliability, and its out-of-distribution detector.

    Attributes:
        model: SHA-256 of the model's weights, 64 hexadecimal digits.
        classes: names of the C classes.
        sums: sums over the validation images, counted at the fitted temperature.
        clinics: number of clinics that the validation images come from.
        out_of_distribution: detector of images unlike the clinic's own; ``None`` where it was not fitted.
        alert: the clinic's alert for melanoma; ``None`` where it was not fitted.
    """

    model: str
    classes: tuple[str, ...]
    sums: CalibrationSums
    clinics: int = 1
    out_of_distribution: OutOfDistribution | None = None
    alert: AlertRule | None = None

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (C,) of logits (C,)."""
        return softmax(logits / np.float64(self.sums.temperature))

    def unsure(self, probabilities: NDArray[np.float64]) -> bool:
        """Whether the largest of the calibrated probabilities (C,) is below the threshold of "unsure"."""
        return self.selection.unsure(float(probabilities.max()))

    def out_of_distribution_score(self, features: NDArray[np.float32]) -> float | None:
        """Score of an image from its pooled features (K,); higher is farther."""
        detector = self.out_of_distribution
        return None if detector is None else float(detector.scores(features[None])[0])

    def is_out_of_distribution(self, score: float) -> bool:
        """Whether a score lies above the detector's threshold."""
        return self.out_of_distribution is not None and score > self.out_of_distribution.threshold

    @cached_property
    def selection(self) -> Selection:
        """The rule for "unsure", and its coverage and risk."""
        return select(self.sums.after)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities (C,) of logits (C,)."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def weights_digest(weights: NDArray[np.float32]) -> str:
    """SHA-256 of a model's flat weights, float32 (P,), as in :attr:`Calibration.model`."""
    return hashlib.sha256(weights.tobytes()).hexdigest()


def fit_calibration(
    model: str, classes: Sequence[str], training: NetworkOutputs, validation: NetworkOutputs
) -> Calibration:
    """Calibrate a model on one clinic's images.

    Args:
        model: SHA-256 of its weights.
        classes: names of its classes.
        training: its outputs for training images; their labels are not used.
        validation: its outputs for images that it was not trained on.

    Raises:
        DatasetError: there are too few validation images to calibrate.
    """
    first = CalibrationSums.of(validation.logits, validation.labels)
    sums = CalibrationSums.of(validation.logits, validation.labels, first.best_temperature)
    return Calibration(
        model, tuple(classes), sums, out_of_distribution=fit_out_of_distribution(training, validation)
    )


def fit_out_of_distribution(training: NetworkOutputs, validation: NetworkOutputs) -> OutOfDistribution | None:
    """Fit the out-of-distribution detector to a clinic's images; ``None`` where they are too few."""
    try:
        return OutOfDistribution.fit(training.features, validation.features)
    except DatasetError:
        return None
