"""What the models of a finished run that knows melanoma predict, as they are saved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.metrics.decision.operating_point import target_threshold
from dermafed.simulation.runs.alert_points import SETTINGS
from dermafed.simulation.runs.arms import (
    NO_PRIOR_FILE,
    OFFSETS_FILE,
    OFFSETS_VALIDATION_FILE,
    PREDICTIONS_FILE,
    VALIDATION_FILE,
)
from dermafed.simulation.runs.melanoma_results import ClinicsLesions
from dermafed.simulation.runs.results import Predictions
from dermafed.simulation.studies.study_runs import ALONE, StudyRun, saved_predictions

WITH_OFFSETS, AS_TRAINED = "with offsets", "as trained"
_FILES = {
    WITH_OFFSETS: (OFFSETS_FILE, OFFSETS_VALIDATION_FILE),
    AS_TRAINED: (PREDICTIONS_FILE, VALIDATION_FILE),
}


@dataclass(frozen=True, slots=True, eq=False)
class SavedModel:
    """What one model, or each clinic's own at home, predicts; by clinic's folder, float32 (N, C) each.

    Attributes:
        predictions: ``with offsets``, or ``as trained`` where there are none with offsets.
        test: probabilities of the test images.
        validation: those of the validation images; ``None`` where they are not saved.
        equal: as ``test``, as if all classes were equally frequent; ``None`` where there are no offsets.
    """

    predictions: str
    test: Predictions
    validation: Predictions | None
    equal: Predictions | None


def has_melanoma(lesions: ClinicsLesions) -> bool:
    """Whether melanoma is one of a run's classes, and there are test images."""
    return MELANOMA in lesions.classes and any(own.splits.test for own in lesions.clinics.values())


def saved_models(run: StudyRun) -> dict[str, SavedModel]:
    """The models that a finished run has, by arm: ``federated``, ``tuned``, ``pooled`` and ``own``.

    Args:
        run: the finished run.
    """
    saved = {
        kind: (_by_arm(run, test), _by_arm(run, validation)) for kind, (test, validation) in _FILES.items()
    }
    without_prior = _by_arm(run, NO_PRIOR_FILE)
    found = {}
    for arm in saved[AS_TRAINED][0]:
        kind = WITH_OFFSETS if arm in saved[WITH_OFFSETS][0] else AS_TRAINED
        test, validation = (side.get(arm) for side in saved[kind])
        assert test is not None
        found[arm] = SavedModel(kind, test, validation, without_prior.get(arm))
    return found


def together(lesions: ClinicsLesions, predictions: Predictions) -> NDArray[np.float32]:
    """All clinics' predictions, in their order, float32 (N, C)."""
    return np.concatenate([predictions[folder] for folder in lesions.clinics])


def threshold_of(lesions: ClinicsLesions, model: SavedModel) -> float | None:
    """The alert's threshold, that finds 95 % of all validation melanomas; ``None`` without any."""
    counts = None if model.validation is None else lesions.validation_counts(model.validation)
    return None if counts is None else target_threshold(counts, SETTINGS.sensitivity)


def _by_arm(run: StudyRun, file: str) -> dict[str, Predictions]:
    return {arm: own for arm, (own, *_) in saved_predictions(run, file).items() if arm != ALONE}
