"""A clinic's audit of a run's last model for shortcuts, on its test images; only counts and sums leave.

Of test images, since nothing was chosen by them: not the round, nor a threshold. They are asked for once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermafed.client.node.clinic_calibrator import check_finite
from dermafed.client.node.clinic_trainer import batch_norm_files
from dermafed.shared.artefacts.artefact_predictions import (
    ArtefactPredictions,
    Probabilities,
    predict_with_artefacts,
)
from dermafed.shared.artefacts.surroundings import Image
from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.metrics.shortcuts.answers import Answers, log_odds
from dermafed.shared.metrics.shortcuts.shortcut_sums import MOST_LESIONS, ShortcutSums
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import label_images
from dermafed.shared.training.predict import apply_classifier, loaded_classifier
from dermafed.shared.training.trainer import FloatVector

log = logging.getLogger("dermafed.client")


@dataclass(frozen=True)
class ClinicAudit:
    """Audits the models of a run at the clinic in a split folder.

    Attributes:
        folder: of the clinic's split.
        plan: the run.
        state: folder for what the clinic does not share in this run.
    """

    folder: Path
    plan: Plan
    state: Path

    def __call__(self, weights: FloatVector, round: int) -> ShortcutSums:
        """The sums of a model's answers, by the most probable class, without and with every artefact.

        Images and masks that cannot be used are left out.

        Args:
            weights: float32 (P,).
            round: the round that the weights come from.

        Raises:
            DatasetError: the model does not know melanoma, or there are too few lesions.
            FederationError: the model or an output is not finite.
        """
        check_finite(weights)
        if MELANOMA not in self.plan.model.classes:
            raise DatasetError("The model does not know melanoma", remedy="Audit a model that does")
        records = some_lesions(read_clinic_split(self.folder).splits.test)
        if not records:
            raise DatasetError("There are no test images to audit", where=self.folder)
        return audit_sums(self._predictions(records, weights, round), self.plan.model.classes)

    def _predictions(
        self, records: Sequence[LesionRecord], weights: FloatVector, round: int
    ) -> ArtefactPredictions:
        plan, memory = self.plan, batch_norm_files(self.plan, self.state)
        configure_backend(plan.threads)
        classifier = loaded_classifier(plan.model, weights, round=round, memory=memory)

        def predict(images: Image, records: Sequence[LesionRecord]) -> Probabilities:
            labelled = label_images(records, images, plan.model)
            probabilities = apply_classifier(classifier, labelled, plan.model.views_at_test)
            check_finite(probabilities)
            return probabilities

        found = predict_with_artefacts(
            records, plan.preprocess, predict, skip_bad=True, progress=lambda done, images: None
        )
        for path, reason in found.unreadable:
            log.warning("left out of the audit: %s (%s)", path, reason)
        return found


def audit_sums(predictions: ArtefactPredictions, classes: Sequence[str]) -> ShortcutSums:
    """The sums of predictions; an answer is "melanoma" where that is the most probable class.

    Raises:
        DatasetError: there are too few lesions.
    """
    melanoma, records = classes.index(MELANOMA), predictions.records
    lesions = [record.lesion for record in records]
    is_melanoma = np.array([record.label == MELANOMA for record in records])
    truth = Answers.of_images(is_melanoma, np.zeros(len(records)), lesions).melanoma

    def answers(probabilities: Probabilities) -> Answers:
        answered = np.asarray(probabilities.argmax(axis=1) == melanoma)
        return Answers.of_images(answered, log_odds(probabilities, melanoma), lesions)

    after = [answers(probabilities) for probabilities in predictions.after.values()]
    return ShortcutSums.of(truth, answers(predictions.before), after)


def some_lesions(records: Sequence[LesionRecord], most: int = MOST_LESIONS) -> list[LesionRecord]:
    """The records of at most so many lesions, evenly spaced in their order; always the same ones."""
    lesions = list(dict.fromkeys(record.lesion for record in records))
    places = np.linspace(0, len(lesions) - 1, min(most, len(lesions)))
    chosen = {lesions[int(place)] for place in places}
    return [record for record in records if record.lesion in chosen]
