"""What a run's models make of melanoma: their ranking, and their alerts on the test lesions.

Thresholds are chosen on validation lesions. Ranking is by image, and patients are drawn for its intervals
where they are known, as for all other metrics of a run; an alert is by lesion, as at a clinic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA, LesionScores, lesion_scores
from dermafed.shared.metrics.decision.net_benefit import decision_curve
from dermafed.shared.metrics.decision.operating_point import target_threshold
from dermafed.shared.metrics.decision.promise import promise
from dermafed.shared.metrics.decision.ranking import ScoredImages, melanoma_ranking
from dermafed.shared.metrics.decision.score_counts import ScoreCounts
from dermafed.simulation.runs.alert_points import SETTINGS, alert_points
from dermafed.simulation.runs.arms import (
    FEDERATED,
    LOCAL,
    NO_PRIOR_FILE,
    NO_PRIOR_VALIDATION_FILE,
    OFFSETS_FILE,
    OFFSETS_VALIDATION_FILE,
    POOLED,
    PREDICTIONS_FILE,
    VALIDATION_FILE,
    Arm,
    load_more_predictions,
)
from dermafed.simulation.runs.own_alerts import ClinicScores, own_alerts

Predictions = Mapping[str, NDArray[np.float32]]

THRESHOLD_PROBABILITIES = [percent / 100 for percent in range(1, 31)]
"""Of decision curves: a melanoma is worth 99 to 2 biopsies of other lesions."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmPredictions:
    """Probabilities (N, C) of one model, or of each clinic's own, by the name of the split folder.

    Attributes:
        test: of the test images.
        validation: of the validation images; ``None`` where version 0.1.0 tested the arm.
        without_prior: of the validation and of the test images, as if all classes were equally frequent;
            ``None`` where no offsets are in the others.
        one_model: whether all are of one model.
    """

    test: Predictions
    validation: Predictions | None = None
    without_prior: tuple[Predictions, Predictions] | None = None
    one_model: bool = True


@dataclass(frozen=True, slots=True)
class ClinicsLesions:
    """The clinics' validation and test images, to measure models by.

    Attributes:
        clinics: the split of each clinic, by the name of its split folder.
        classes: of the models.
    """

    clinics: Mapping[str, ClinicSplit]
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls, clinics: Sequence[ClinicSplit], folders: Sequence[Path], classes: tuple[str, ...]
    ) -> ClinicsLesions:
        """Those of clinics with these split folders, in their order."""
        return cls(dict(zip((folder.name for folder in folders), clinics, strict=True)), classes)

    def result(self, predictions: ArmPredictions) -> dict[str, Any] | None:
        """The figures as JSON types; ``None`` where melanoma is not among the classes."""
        if MELANOMA not in self.classes:
            return None
        ranking = melanoma_ranking({own.name: self._images(f, predictions) for f, own in self._each()})
        alert = None if predictions.validation is None else self._one_threshold(predictions)
        curve = self._decision_curve(predictions.test)
        own = self._own_thresholds(predictions)
        return {**ranking.to_dict(), "decision_curve": curve, "one_threshold": alert, "own_thresholds": own}

    def validation_counts(self, validation: Predictions) -> ScoreCounts | None:
        """All validation lesions together, to choose one threshold on; ``None`` without a melanoma.

        Args:
            validation: probabilities of the validation images (N, C), by the name of the split folder.
        """
        if not any(own.splits.validation for own in self.clinics.values()):
            return None
        counts = self._together(validation, "validation")
        return counts if counts.melanomas else None

    def _each(self) -> list[tuple[str, ClinicSplit]]:
        return list(self.clinics.items())

    def _images(self, folder: str, predictions: ArmPredictions) -> ScoredImages:
        records = self.clinics[folder].splits.test
        scores = predictions.test[folder][:, self._melanoma].astype(np.float64)
        melanoma = np.array([record.label == MELANOMA for record in records], bool)
        return ScoredImages(scores, melanoma, [record.group for record in records])

    def _one_threshold(self, predictions: ArmPredictions) -> dict[str, Any] | None:
        """The alert at one threshold for all clinics, chosen on all validation lesions together."""
        assert predictions.validation is not None
        chosen = self.validation_counts(predictions.validation)
        if chosen is None:
            return None
        threshold = target_threshold(chosen, SETTINGS.sensitivity)
        tested = {
            own.name: ScoreCounts.of_lesions(self._lesions(own.splits.test, predictions.test[folder]))
            for folder, own in self._each()
        }
        promised = promise(chosen)
        alerts = {name: counts.at(threshold) for name, counts in tested.items()}
        return {
            "sensitivity_wanted": SETTINGS.sensitivity,
            "validation_melanomas": chosen.melanomas,
            "threshold": threshold,
            "promise": {"sentence": promised.sentence, "threshold": promised.threshold},
            **alert_points(alerts, dict.fromkeys(alerts, threshold)),
        }

    def _own_thresholds(self, predictions: ArmPredictions) -> dict[str, Any] | None:
        """The alert that each clinic would serve, where its offsets were fitted."""
        without, validated = predictions.without_prior, predictions.validation
        if without is None or validated is None:
            return None
        if not all(own.splits.validation for own in self.clinics.values()):
            return None
        clinics = {}
        for folder, own in self._each():
            records = (own.splits.validation, own.splits.test) * 2
            sides = (validated, predictions.test, *without)
            pairs = zip(records, sides, strict=True)
            clinics[own.name] = ClinicScores(*(self._lesions(each, side[folder]) for each, side in pairs))
        return own_alerts(clinics, one_model=predictions.one_model)

    def _decision_curve(self, test: Predictions) -> list[dict[str, float]] | None:
        """Net benefit on all test lesions, at their own prevalence."""
        counts = self._together(test, "test")
        if not (counts.melanomas and counts.others):
            return None
        return [asdict(point) for point in decision_curve(counts, THRESHOLD_PROBABILITIES)]

    def _together(self, predictions: Predictions, side: str) -> ScoreCounts:
        sides = {folder: own.splits.sides()[side] for folder, own in self._each()}
        records = [record for own in sides.values() for record in own]
        groups = [f"{folder}/{record.lesion}" for folder, own in sides.items() for record in own]
        scores = np.concatenate([predictions[folder] for folder in self.clinics])
        return ScoreCounts.of_lesions(self._lesions(records, scores, groups))

    def _lesions(
        self,
        records: Sequence[LesionRecord],
        probabilities: NDArray[np.float32],
        groups: Sequence[str] | None = None,
    ) -> LesionScores:
        labels = np.array([self.classes.index(record.label) for record in records], np.int64)
        lesions = [record.lesion for record in records] if groups is None else groups
        return lesion_scores(labels, probabilities, self._melanoma, lesions)

    @property
    def _melanoma(self) -> int:
        return self.classes.index(MELANOMA)


def melanoma_results(lesions: ClinicsLesions, arms: Sequence[Arm]) -> dict[str, Any] | None:
    """The figures of every arm, ``as_trained`` and ``with_offsets``; ``None`` where no class is melanoma.

    ``local`` is each clinic's own model on its own images.

    Args:
        lesions: the clinics' images.
        arms: the trained arms, the federated one first.
    """
    if MELANOMA not in lesions.classes:
        return None
    kinds = {
        "as_trained": (PREDICTIONS_FILE, VALIDATION_FILE),
        "with_offsets": (
            OFFSETS_FILE,
            OFFSETS_VALIDATION_FILE,
            NO_PRIOR_VALIDATION_FILE,
            NO_PRIOR_FILE,
        ),
    }
    return {
        kind: {name: lesions.result(own) for name, own in _by_arm(arms, *files).items()}
        for kind, files in kinds.items()
    }


def _by_arm(arms: Sequence[Arm], *files: str) -> dict[str, ArmPredictions]:
    """The predictions in files: test, validation, and these without the prior, validation first."""
    tested, chosen, *without = (
        _at_home({name: own for arm in arms for name, own in load_more_predictions(arm, file).items()})
        for file in files
    )
    found = {}
    for name, own in tested.items():
        pair = [each[name] for each in without if name in each]
        without_prior = (pair[0], pair[1]) if len(pair) == 2 else None
        shared = name in (FEDERATED, POOLED)
        found[name] = ArmPredictions(own, chosen.get(name), without_prior, shared)
    return found


def _at_home(predictions: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """The same with the clinics' own models as one arm, each on its clinic's images alone."""
    shared = {name: own for name, own in predictions.items() if not name.startswith(LOCAL)}
    local = {
        clinic: own[clinic]
        for name, own in predictions.items()
        if name.startswith(LOCAL) and (clinic := name.removeprefix(LOCAL)) in own
    }
    return {**shared, **({"local": local} if local else {})}
