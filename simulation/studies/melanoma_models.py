"""The models of finished runs on melanoma: test predictions, and the threshold of the alert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.history import HISTORY_FILE, read_history
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.metrics.decision.operating_point import target_threshold
from dermafed.simulation.runs.alert_points import SETTINGS
from dermafed.simulation.runs.arms import (
    FEDERATED,
    LOCAL,
    NO_PRIOR_FILE,
    OFFSETS_FILE,
    OFFSETS_VALIDATION_FILE,
    POOLED,
    PREDICTIONS_FILE,
    VALIDATION_FILE,
)
from dermafed.simulation.runs.melanoma_results import ClinicsLesions
from dermafed.simulation.runs.results import Predictions
from dermafed.simulation.studies.drawn_tests import DrawnTests
from dermafed.simulation.studies.melanoma_figures import Figures, melanoma_figures
from dermafed.simulation.studies.study_runs import (
    ALONE,
    OWN,
    StudyRun,
    arm_folder,
    saved_lesions,
    saved_predictions,
)

WITH_OFFSETS, AS_TRAINED = "with offsets", "as trained"
_FILES = {
    WITH_OFFSETS: (OFFSETS_FILE, OFFSETS_VALIDATION_FILE),
    AS_TRAINED: (PREDICTIONS_FILE, VALIDATION_FILE),
}

Model = tuple[str, str, str]
"""Row, arm, and which predictions."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedModel:
    """What one model, or each clinic's own at home, predicts.

    Attributes:
        predictions: ``with offsets``, or ``as trained`` where there are none with offsets.
        test: probabilities of all test images in the order of the clinics, float32 (N, C).
        threshold: of the alert, that finds 95 % of all validation melanomas; ``None`` without any.
        equal: as ``test``, as if all classes were equally frequent; ``None`` where there are no offsets.
    """

    predictions: str
    test: NDArray[np.float32]
    threshold: float | None
    equal: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class MelanomaModel:
    """The figures of one model of one seed.

    Attributes:
        images: identifies the test images: equal where two models were tested on the same ones.
        figures: on them, and on their resamples.
    """

    images: int
    figures: Figures


def melanoma_models(runs: Sequence[StudyRun], resamples: int) -> dict[Model, dict[int, MelanomaModel]]:
    """Every model of finished runs, by its name and seed; none of runs that do not know melanoma.

    Args:
        runs: the finished runs.
        resamples: number of resamples of the bootstrap.
    """
    models: dict[Model, dict[int, MelanomaModel]] = {}
    for run in runs:
        lesions = saved_lesions(run)
        if not has_melanoma(lesions):
            continue
        tests = DrawnTests.of(lesions, resamples)
        for arm, saved in saved_models(run, lesions).items():
            figures = melanoma_figures(tests, saved.test, saved.threshold, saved.equal)
            own = MelanomaModel(tests.seed, figures)
            models.setdefault((run.row, arm, saved.predictions), {})[run.settings.seed] = own
    return models


def has_melanoma(lesions: ClinicsLesions) -> bool:
    """Whether melanoma is one of a run's classes, and there are test images."""
    return MELANOMA in lesions.classes and any(own.splits.test for own in lesions.clinics.values())


def saved_models(run: StudyRun, lesions: ClinicsLesions) -> dict[str, SavedModel]:
    """The models that a finished run has, by arm: ``federated``, ``tuned``, ``pooled`` and ``own``.

    Args:
        run: the finished run.
        lesions: its clinics' images.
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
        equal = _together(lesions, without_prior[arm]) if arm in without_prior else None
        found[arm] = SavedModel(kind, _together(lesions, test), _threshold(lesions, validation), equal)
    return found


def _together(lesions: ClinicsLesions, predictions: Predictions) -> NDArray[np.float32]:
    return np.concatenate([predictions[folder] for folder in lesions.clinics])


def _by_arm(run: StudyRun, file: str) -> dict[str, Predictions]:
    return {arm: own for arm, (own, *_) in saved_predictions(run, file).items() if arm != ALONE}


def _threshold(lesions: ClinicsLesions, validation: Predictions | None) -> float | None:
    counts = None if validation is None else lesions.validation_counts(validation)
    return None if counts is None else target_threshold(counts, SETTINGS.sensitivity)


def core_minutes(run: StudyRun, arm: str) -> float | None:
    """How long a finished run's arm trained, on one core; ``None`` where no history tells.

    Args:
        run: the finished run, each of whose arms was trained by a process of one thread.
        arm: ``own`` are all clinics' own models together; tuning is not recorded.
    """
    histories = [read_history(folder) for folder in _folders(run, arm) if (folder / HISTORY_FILE).exists()]
    return sum(row.seconds for rows in histories for row in rows) / 60 if histories else None


def _folders(run: StudyRun, arm: str) -> Iterator[Path]:
    if arm in (FEDERATED, POOLED):
        yield arm_folder(run, arm)
    elif arm == OWN:
        yield from (arm_folder(run, f"{LOCAL}{name}") for name in saved_lesions(run).clinics)
