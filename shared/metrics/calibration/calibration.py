"""Calibration of a model on validation images, and its use on one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.clinic_offsets import (
    ClinicOffsets,
    federation_shares,
    fit_clinic_offsets,
)
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets, fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.calibration.out_of_distribution import OutOfDistribution
from dermafed.shared.metrics.calibration.selective_prediction import Selection, select
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram

if TYPE_CHECKING:  # without it, reading a calibration would load Keras
    from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs


FEWEST_FOR_OWN_RULE = 20
"""A clinic with fewer validation images uses the federation's threshold of "unsure"."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of one model: temperature and offsets, reliability, and out-of-distribution detector.

    Attributes:
        model: SHA-256 of the model's weights, 64 hexadecimal digits.
        classes: names of the C classes.
        sums: sums over the validation images, counted at the fitted temperature and offsets.
        clinics: number of clinics that the validation images come from.
        out_of_distribution: detector of images unlike the clinic's own; ``None`` where it was not fitted.
        alert: the clinic's alert for melanoma; ``None`` where it was not fitted.
        federation: the scale and offsets that all clinics fitted; ``None``: only a temperature was.
        own: those of this clinic, which stay there and are used in place of the federation's.
        scores: all clinics' validation lesions by their probability of melanoma without the prior; ``None``
            where they were not counted.
    """

    model: str
    classes: tuple[str, ...]
    sums: CalibrationSums
    clinics: int = 1
    out_of_distribution: OutOfDistribution | None = None
    alert: AlertRule | None = None
    federation: FittedOffsets | None = None
    own: ClinicOffsets | None = None
    scores: ScoreHistogram | None = None

    @property
    def point(self) -> ClassOffsets | None:
        """The scale and offsets in use; ``None``: only the temperature is."""
        if self.own is not None:
            return self.own.point
        return None if self.federation is None else self.federation.point

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (C,) of logits (C,)."""
        point = self.point
        return (
            softmax(logits / np.float64(self.sums.temperature))
            if point is None
            else point.probabilities(logits)
        )

    def probabilities_without_prior(self, logits: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Probabilities (C,) of logits (C,) as if all classes were equally frequent.

        ``None`` where no offsets were fitted. It is the score to use where a clinic's own melanomas are few:
        their rarity there holds it down otherwise.
        """
        if self.own is not None:
            return self.own.without_prior.probabilities(logits)
        if self.federation is None:
            return None
        shares = federation_shares(self.federation)
        return self.federation.point.without_prior(shares).probabilities(logits)

    def alert_probabilities(self, logits: NDArray[np.float32], rule: AlertRule) -> NDArray[np.float64]:
        """Probabilities (C,) of logits (C,), of which the rule of an alert compares that of melanoma.

        They are those without the prior where the rule's threshold is that of all clinics.
        """
        without = None if rule.own_melanomas is None else self.probabilities_without_prior(logits)
        return self.probabilities(logits) if without is None else without

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
        return select(self.own.bins if self.own is not None and self.has_own_rule else self.sums.after)

    @property
    def has_own_rule(self) -> bool:
        """Whether "unsure" is judged by the clinic's own images."""
        return self.own is not None and bool(self.own.bins.images.sum() >= FEWEST_FOR_OWN_RULE)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities (C,) of logits (C,)."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities (C,) of logits (C,), each by itself."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits.astype(np.float64) / 2))


def fit_calibration(
    model: str,
    classes: Sequence[str],
    training: NetworkOutputs,
    validation: NetworkOutputs,
    federation: FittedOffsets | None = None,
) -> Calibration:
    """Calibrate a model on one clinic's images.

    Args:
        model: SHA-256 of its weights.
        classes: names of its classes.
        training: its outputs for training images; of their labels only the counts are used.
        validation: its outputs for images that it was not trained on.
        federation: the scale and offsets that all clinics fitted to this model; without them, the clinic's
            are those of a federation of one.

    Raises:
        DatasetError: there are too few validation images to calibrate.
        ModelError: an output is NaN or infinite.
    """
    first = CalibrationSums.of(validation.logits, validation.labels)
    fitted = federation or _fit_alone(validation, first.best_temperature)
    own = None if federation is None else own_offsets(federation, training, validation)
    point = fitted.point if own is None else own.point
    temperature = 1 / point.scale
    sums = CalibrationSums.of(validation.logits, validation.labels, temperature, offsets=point.offsets)
    detector = fit_out_of_distribution(training, validation)
    return Calibration(model, tuple(classes), sums, out_of_distribution=detector, federation=fitted, own=own)


def own_offsets(
    federation: FittedOffsets, training: NetworkOutputs, validation: NetworkOutputs
) -> ClinicOffsets:
    """A clinic's own scale and offsets, around the federation's; the labels of training images are counted.

    Raises:
        ModelError: an output is NaN or infinite.
    """
    classes = len(federation.counts)
    labels = np.concatenate([training.labels, validation.labels])
    counts = np.bincount(labels, minlength=classes)
    return fit_clinic_offsets(federation, validation.logits, validation.labels, counts)


def _fit_alone(validation: NetworkOutputs, temperature: float) -> FittedOffsets:
    nothing = ClassOffsets.none(validation.logits.shape[1])
    start = ClassOffsets(1 / temperature, nothing.offsets)
    fitted = fit_offsets(
        lambda point: {"": OffsetSums.of(validation.logits, validation.labels, point)}, nothing, start
    )
    assert fitted is not None  # CalibrationSums refuses to be of no image
    return fitted


def fit_out_of_distribution(training: NetworkOutputs, validation: NetworkOutputs) -> OutOfDistribution | None:
    """Fit the out-of-distribution detector to a clinic's images; ``None`` where they are too few."""
    try:
        return OutOfDistribution.fit(training.features, validation.features)
    except DatasetError:
        return None
