"""Audit a saved model for shortcuts: what artefacts beside a lesion do to its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.evaluation.evaluate import Stage, model_class_map, predict_finite
from dermafed.client.evaluation.evaluate_alert import compared_probabilities
from dermafed.shared.artefacts.artefact_predictions import (
    ArtefactPredictions,
    Probabilities,
    predict_with_artefacts,
)
from dermafed.shared.artefacts.surroundings import Image
from dermafed.shared.errors import ModelError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.metrics.shortcuts.answers import Answers, log_odds
from dermafed.shared.metrics.shortcuts.shortcut_effect import (
    ShortcutEffect,
    disclosed_lesions,
    shortcut_effect,
)
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.training.data import label_images

BY_ALERT = "An answer is melanoma where the alert of the model's calibration is raised"
BY_CLASS = "An answer is melanoma where it is the most probable class: the model has no calibrated alert"
NO_MASKS = (
    "Where an image has no mask, a central disc stands for the lesion: marks may then lie on a large lesion, "
    "and an erased one may leave its edge, which raises the AUC that is left"
)
DRAWN = "The artefacts are drawn, not photographed: real ones differ"


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """A model's audit on a data set.

    Attributes:
        model: the model file.
        card: of the model.
        data: the data set.
        predictions: of the images, as they are and changed.
        effects: of each change, by its name.
        lesions: their number; ``None`` where it would give away that of a small group.
        excluded: number of images of each diagnosis that the model does not know.
        notes: what else a reader must know.
    """

    model: Path
    card: ModelInfo
    data: Path
    predictions: ArtefactPredictions
    effects: dict[str, ShortcutEffect]
    lesions: int | None
    excluded: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``audit.json``."""
        return {
            "model": str(self.model.resolve()),
            "round": self.card.round,
            "data": str(self.data.resolve()),
            "lesions": self.lesions,
            "effects": {
                name: {**effect.to_dict(), "unseen": self.predictions.unseen[name]}
                for name, effect in self.effects.items()
            },
            "excluded": self.excluded,
            "unreadable": {str(path): reason for path, reason in self.predictions.unreadable},
            "notes": list(self.notes),
            "intended_use": USE,
        }


def audit_model(
    data: Path,
    model: Path,
    *,
    classes: str | None,
    skip_bad: bool,
    stage: Stage,
    columns: ColumnNames | None = None,
) -> Audit:
    """Audit a model on labelled images; writes nothing.

    Args:
        data: a folder or manifest.
        model: the ``.keras`` file; its card lies beside it.
        classes: how labels map to the model's classes; ``None``: as when it was trained, else by diagnosis.
        skip_bad: leave unusable images, masks and labels out instead of raising.
        stage: called with the name of a stage; returns its progress callback (images done, images).
        columns: columns of the manifest that go by other names than the accepted ones.

    Raises:
        DatasetError: the data cannot be used.
        ImageError: an image or a mask cannot be used.
        ModelError: the model cannot be used, or does not know melanoma.
        SettingsError: ``classes`` is malformed or names other classes than the model's.
    """
    dataset = load_dataset(data, skip_bad=skip_bad, columns=columns)
    classifier, card = load_model(model)
    if MELANOMA not in card.model.classes:
        raise ModelError(
            "The model does not know melanoma", where=model, remedy=f"Audit a model with a class {MELANOMA}"
        )
    class_map = model_class_map(dataset.records, card, classes)
    mapped, excluded = class_map.apply(dataset.records)

    def predict(images: Image, records: Sequence[LesionRecord]) -> Probabilities:
        labelled = label_images(records, images, card.model)
        return predict_finite(classifier, labelled, model, lambda done, all: None, card.model.views_at_test)

    predictions = predict_with_artefacts(
        mapped, card.preprocess, predict, skip_bad=skip_bad, progress=stage("Auditing images")
    )
    calibration = load_calibration(model, weights_digest(to_flat(classifier)))
    effects = measure_effects(predictions, card.model.classes, calibration)
    lesions = len({record.lesion for record in predictions.records})
    by = BY_CLASS if calibration is None or calibration.alert is None else BY_ALERT
    no_masks = NO_MASKS if any(record.mask is None for record in predictions.records) else ""
    return Audit(
        model,
        card,
        data,
        predictions,
        effects,
        disclosed_lesions(effects, lesions),
        dict(sorted(excluded.items())),
        tuple(note for note in (*dataset.notes, by, DRAWN, no_masks) if note),
    )


def measure_effects(
    predictions: ArtefactPredictions, classes: Sequence[str], calibration: Calibration | None
) -> dict[str, ShortcutEffect]:
    """Measure what each change does to the answers.

    Args:
        predictions: of the images, as they are and changed.
        classes: of the model, with melanoma.
        calibration: of the model; with an alert, that decides what is answered "melanoma".
    """
    melanoma, records = classes.index(MELANOMA), predictions.records
    lesions = [record.lesion for record in records]
    truth = Answers.of_images(
        np.array([record.label == MELANOMA for record in records]), np.zeros(len(records)), lesions
    ).melanoma

    def answers(probabilities: Probabilities) -> Answers:
        answered = _answered(probabilities, melanoma, calibration)
        return Answers.of_images(answered, log_odds(probabilities, melanoma), lesions)

    before = answers(predictions.before)
    return {name: shortcut_effect(truth, before, answers(after)) for name, after in predictions.after.items()}


def _answered(
    probabilities: Probabilities, melanoma: int, calibration: Calibration | None
) -> NDArray[np.bool_]:
    """Which images are answered "melanoma", bool (N,)."""
    if calibration is None or calibration.alert is None:
        return np.asarray(probabilities.argmax(axis=1) == melanoma)
    compared = compared_probabilities(probabilities, calibration, calibration.alert)
    return np.asarray(compared[:, melanoma] >= calibration.alert.threshold)
