"""Combine the clinics' evaluations of one model, so that no clinic alone decides how good it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from flwr.app import RecordDict

from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.shares import Member, capped_weights
from dermafed.shared.errors import FederationError
from dermafed.shared.lesions.diagnoses import melanoma_class
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.metrics.fairness.disclosure import FEWEST_IMAGES, FEWEST_OF_CLASS
from dermafed.shared.protocol.messages import decode_evaluation


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of all clinics' images together; a capped clinic's count less.

    Attributes:
        loss: mean cross-entropy, in nats.
        accuracy: share of images whose most probable class is the true one.
        balanced_accuracy: mean recall of the classes that have images.
        auc: mean one-against-rest AUC; NaN with one class.
        by_clinic: what each clinic's own evaluation says of it, for :class:`ClinicRound`, by field.
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    auc: float
    by_clinic: dict[str, dict[str, float]]


def melanoma_index(classes: Sequence[str]) -> int | None:
    """Index of a model's class of melanoma, by whatever name; ``None`` where it has none."""
    found = melanoma_class(classes)
    return None if found is None else classes.index(found)


def clinic_values(evaluation: ClinicEvaluation, melanoma: int | None) -> dict[str, float]:
    """What a clinic's evaluation says of it; without what only few images say.

    Args:
        evaluation: the clinic's.
        melanoma: index of that class, if the model has one.
    """
    values = {"balanced_accuracy": evaluation.balanced_accuracy}
    if evaluation.images >= FEWEST_IMAGES:
        values["images"] = float(evaluation.images)
        found = evaluation.confusion[melanoma] if melanoma is not None else np.zeros(0)
        if found.sum() >= FEWEST_OF_CLASS:
            values["melanoma_sensitivity"] = float(found[melanoma] / found.sum())
    return values


@dataclass
class Evaluations:
    """The evaluations of one model.

    A clinic counts by its validation images, but by no more images than it told for training in the
    agreement, and by no more than the largest share of all; in the recall of a class by no more than the
    largest share of its images.

    Attributes:
        classes: number of classes C.
        rules: the cap of a share.
        members: the clinics by the agreement; ``None``: there was none.
        melanoma: index of that class; ``None`` where the model has none.
        scores: whether clinics send histograms and a loss.
    """

    classes: int
    rules: RoundRules
    members: Mapping[str, Member] | None = None
    melanoma: int | None = None
    scores: bool = True
    _received: dict[str, ClinicEvaluation] = field(default_factory=dict)

    def accept(self, clinic: str, content: RecordDict) -> float:
        """Accept an evaluation; see :class:`dermafed.server.rounds.collector.Collector`."""
        if self.members is not None and clinic not in self.members:
            raise FederationError("it has not joined the run")
        evaluation, seconds = decode_evaluation(content, self.classes)
        evaluation.validate(self.classes, scores=self.scores)
        # All are kept until the last has come: 6 kB of most, where eight bytes a count are 48 kB.
        small = evaluation.histograms.astype(np.min_scalar_type(evaluation.images))
        self._received[clinic] = replace(evaluation, histograms=small)
        return seconds

    def compare(self) -> dict[str, str]:
        """Nobody is left out."""
        return {}

    def result(self) -> Evaluated:
        """The evaluation of all clinics' images together."""
        if not self._received:
            raise FederationError("No clinic has evaluated the model")
        received = dict(sorted(self._received.items()))
        together = self._together(received)
        auc = together.auc
        return Evaluated(
            together.loss,
            together.accuracy,
            self._balanced_accuracy(received),
            math.nan if auc is None else auc,
            {name: clinic_values(one, self.melanoma) for name, one in received.items()},
        )

    def _together(self, received: Mapping[str, ClinicEvaluation]) -> ClinicEvaluation:
        """The weighted sum; exact where no weight is lowered, since counts are whole numbers."""
        told = {name: min(one.images, self._told(name)) for name, one in received.items()}
        weights = capped_weights(told, self.rules.largest_share)
        factors = {name: weights[name] / one.images for name, one in received.items()}
        shape = (self.classes, self.classes)
        confusion, histograms = np.zeros(shape), np.zeros(next(iter(received.values())).histograms.shape)
        for name, one in received.items():
            confusion += factors[name] * one.confusion
            histograms += factors[name] * one.histograms
        # fsum is exact, so the order does not matter.
        loss = math.fsum(factors[name] * one.loss_sum for name, one in received.items())
        return ClinicEvaluation(sum(weights.values()), loss, confusion, histograms)  # type: ignore[arg-type]

    def _balanced_accuracy(self, received: Mapping[str, ClinicEvaluation]) -> float:
        recalls = [self._recall(received, of) for of in range(self.classes)]
        known = [recall for recall in recalls if recall is not None]
        return float(np.mean(known))

    def _recall(self, received: Mapping[str, ClinicEvaluation], of: int) -> float | None:
        """Recall of a class; ``None`` without images of it."""
        rows = {name: one.confusion[of] for name, one in received.items() if one.confusion[of].any()}
        if not rows:
            return None
        counts = {
            name: self._counted(name, received[name].images, int(row.sum())) for name, row in rows.items()
        }
        weights = capped_weights(counts, self.rules.largest_share)
        right = math.fsum(weights[name] / int(row.sum()) * int(row[of]) for name, row in rows.items())
        return right / sum(weights.values())

    def _counted(self, clinic: str, images: int, of_class: int) -> int:
        """Images of a class, so many that all of the clinic's are no more than it told."""
        told = self._told(clinic)
        return of_class if images <= told else max(1, of_class * told // images)

    def _told(self, clinic: str) -> int:
        return self.rules.most_images if self.members is None else self.members[clinic].images
