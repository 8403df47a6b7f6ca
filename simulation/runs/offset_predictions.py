"""An arm's predictions with a scale and offsets, as a federation and its clinics would fit them.

Fitted to validation images only, by the sums and the code of a real federation
(:mod:`dermafed.shared.metrics.calibration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.clinic_offsets import fit_clinic_offsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets, fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums

Probabilities = NDArray[np.float32]

_LEAST = np.finfo(np.float32).tiny


@dataclass(frozen=True, slots=True, eq=False)
class ClinicPredictions:
    """What a model predicts for a clinic's images.

    Attributes:
        validation: probabilities of the validation images, float32 (N, C).
        labels: the classes of these, int64 (N,).
        counts: the clinic's training and validation images of each class, int64 (C,).
        test: probabilities of the test images, float32 (M, C).
        member: whether the clinic takes part in the fit of all.
    """

    validation: Probabilities
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    test: Probabilities
    member: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class OffsetPredictions:
    """A clinic's predictions with its own scale and offsets, float32 (N, C) or (M, C).

    Attributes:
        validation: of the validation images.
        test: of the test images.
        validation_without_prior: the former as if all classes were equally frequent.
        test_without_prior: the same of the test images.
    """

    validation: Probabilities
    test: Probabilities
    validation_without_prior: Probabilities
    test_without_prior: Probabilities


def predict_with_offsets(clinics: Sequence[ClinicPredictions]) -> list[OffsetPredictions]:
    """Each clinic's predictions with its own scale and offsets.

    Where no member has enough images for the fit of all, the predictions stay as they are.

    Args:
        clinics: predictions of one model, or of each clinic's own model where there is one.
    """
    federation = _federation(clinics)
    if federation is None:
        return [OffsetPredictions(*(clinic.validation, clinic.test) * 2) for clinic in clinics]
    return [_with_own(clinic, federation) for clinic in clinics]


def _federation(clinics: Sequence[ClinicPredictions]) -> FittedOffsets | None:
    def ask(point: ClassOffsets) -> dict[str, OffsetSums]:
        found = {}
        for number, clinic in enumerate(clinics):
            try:
                sums = OffsetSums.of(_logits(clinic.validation), clinic.labels, point, shows_rare=False)
            except DatasetError:  # too few images: a clinic would not answer
                continue
            if clinic.member:
                found[str(number)] = sums
        return found

    return fit_offsets(ask, ClassOffsets.none(clinics[0].test.shape[1]))


def _with_own(clinic: ClinicPredictions, federation: FittedOffsets) -> OffsetPredictions:
    logits, test = _logits(clinic.validation), _logits(clinic.test)
    own = fit_clinic_offsets(federation, logits, clinic.labels, clinic.counts)
    return OffsetPredictions(
        *(
            point.probabilities(side).astype(np.float32)
            for point in (own.point, own.without_prior)
            for side in (logits, test)
        )
    )


def _logits(probabilities: Probabilities) -> NDArray[np.float64]:
    """Log probabilities are logits but for a number that all classes of an image share."""
    return np.log(np.maximum(probabilities, _LEAST).astype(np.float64))
