"""Measure how good explanations of a model are on the clinic's own images; only metrics leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from dermafed.client.node.clinic_trainer import batch_norm_files
from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.maps import Explain, Predict
from dermafed.shared.explain.quality.null_masks import nulls_of
from dermafed.shared.explain.quality.nulls import Nulls
from dermafed.shared.explain.quality.quality_sums import FEWEST_IMAGES, MOST_IMAGES, ExplanationQuality
from dermafed.shared.explain.quality.scoring import ImageAndMask, explanation_quality
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import BatchNormMemory, loaded_classifier
from dermafed.shared.training.trainer import FloatVector

IMAGES = 20
"""How many images a clinic explains by default."""

ExplainFor = Callable[[keras.Model], tuple[Explain, Predict]]
"""The method: gives a model's functions that explain and predict."""


@dataclass(frozen=True, eq=False)
class ClinicExplanationQuality:
    """Measures explanations of the models it is given, always on the same images.

    The clinic chooses the images and their number, not the server: the difference of two answers over 20 and
    over 21 images would show one image's scores.

    Attributes:
        model: the architecture.
        images: preprocessed, with their masks.
        explain_for: the method.
        memory: the clinic's own batch normalisation, if it has one.
        nulls: what the maps' precision is compared with, if training images have masks.
    """

    model: ModelSettings
    images: Sequence[ImageAndMask]
    explain_for: ExplainFor
    memory: BatchNormMemory | None = None
    nulls: Nulls | None = None

    def __call__(self, weights: FloatVector, round: int) -> ExplanationQuality:
        """The quality of the explanations of a model.

        Args:
            weights: float32 (P,).
            round: the round that the weights come from.

        Raises:
            DatasetError: the clinic has too few images.
            ModelError: the weights belong to another architecture.
        """
        classifier = loaded_classifier(self.model, weights, round=round, memory=self.memory)
        return explanation_quality(*self.explain_for(classifier), self.images, self.nulls)


def build_explanation_quality(
    folder: Path, plan: Plan, state: Path, explain_for: ExplainFor, *, images: int = IMAGES
) -> ClinicExplanationQuality:
    """Measure explanations of the clinic in a split folder, on some of its validation images.

    Args:
        folder: the folder of the clinic's split.
        plan: the run.
        state: folder for what the clinic does not share in this run.
        explain_for: the method.
        images: number of images at most, evenly spaced over the validation set.

    Raises:
        SettingsError: the number is out of bounds.
        DatasetError: the folder has no clinic's split.
        ImageError: an image or a mask cannot be read.
    """
    if not FEWEST_IMAGES <= images <= MOST_IMAGES:
        raise SettingsError(
            f"{images} images are out of range", remedy=f"Choose {FEWEST_IMAGES} to {MOST_IMAGES}"
        )
    configure_backend(plan.threads)
    splits = read_clinic_split(folder).splits
    records = evenly_spaced(splits.validation, images)
    pictures = load_labelled(records, plan.model, plan.preprocess).images
    masks = [None if record.mask is None else lesion_mask(record.mask, plan.preprocess) for record in records]
    pairs = list(zip(pictures, masks, strict=True))
    memory, nulls = batch_norm_files(plan, state), nulls_of(splits.train, plan.preprocess)
    return ClinicExplanationQuality(plan.model, pairs, explain_for, memory, nulls)


def evenly_spaced(records: Sequence[LesionRecord], count: int) -> list[LesionRecord]:
    """At most ``count`` of the records, the first and the last among them."""
    places = np.linspace(0, len(records) - 1, min(count, len(records)))
    return [records[int(place)] for place in places]


def score_cam(classifier: keras.Model) -> tuple[Explain, Predict]:
    """Score-CAM of a model, and its predictions by the same engine: the method that every clinic uses."""
    # Here, since few runs explain.
    from dermafed.shared.explain.explainer import Explainer

    explainer = Explainer(classifier)
    return explainer.method("scorecam"), explainer.predict
