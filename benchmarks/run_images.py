"""The images of a run's model, for what measures its explanations."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.quality.null_masks import nulls_of
from dermafed.shared.explain.quality.nulls import Nulls
from dermafed.shared.explain.quality.scoring import ImageAndMask
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import ClinicSplit, read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.model_file import load_model
from dermafed.shared.training.data import load_labelled

Indices = NDArray[np.int64]


def arguments_of_a_run(description: str | None, images: int) -> argparse.ArgumentParser:
    """What every measurement of a run's model is given: the run's folder, how many images, how to tell."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--json", action="store_true")
    return parser


def arguments_of_a_picture(description: str | None) -> argparse.Namespace:
    """What a picture of a clinic's test images is given: the run's folder, its file, clinic and seed."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=form)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clinic", default="MSK")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def clinic_of_a_run(run: Path, name: str) -> ClinicSplit:
    """A clinic's images, from the folder that ``fl-simulate --out`` wrote.

    Raises:
        DatasetError: the run has no such clinic.
    """
    clinics = map(read_clinic_split, sorted((run / "sites/clinics").iterdir()))
    clinic = next((each for each in clinics if each.name == name), None)
    if clinic is None:
        raise DatasetError(f"The run has no clinic {name}", remedy="Choose another with --clinic")
    return clinic


@dataclass(frozen=True, eq=False)
class RunImages:
    """N images of a run's clinics, by name.

    Attributes:
        classifier: the run's model.
        explainer: of it.
        classes: their names.
        records: where the images come from.
        pixels: uint8 (N, S, S, 3), preprocessed.
        labels: diagnoses, (N,).
        predicted: the model's, (N,).
        preprocess: how the images were prepared.
        nulls: what does not look at the image, from training images.
    """

    classifier: keras.Model
    explainer: Explainer
    classes: tuple[str, ...]
    records: tuple[LesionRecord, ...]
    pixels: NDArray[np.uint8]
    labels: Indices
    predicted: Indices
    preprocess: PreprocessSettings
    nulls: Nulls | None

    @property
    def usual(self) -> NDArray[np.bool_]:
        """Whether each is taken for the model's most frequent answer, (N,)."""
        most = np.bincount(self.predicted).argmax()
        return np.asarray(self.predicted == most)

    def with_masks(self, indices: Iterable[int]) -> list[ImageAndMask]:
        """Some of the images, each with its lesion's mask where the data have one."""
        masks = ((index, self.records[index].mask) for index in indices)
        return [
            (self.pixels[index], None if mask is None else lesion_mask(mask, self.preprocess))
            for index, mask in masks
        ]


def run_images(run: Path, side: Literal["validation", "test"]) -> RunImages:
    """The images of one side of the split, from the folder that ``fl-simulate --out`` wrote."""
    classifier, card = load_model(run / "model.keras")
    explainer = Explainer(classifier)
    clinics = [read_clinic_split(folder) for folder in sorted((run / "sites/clinics").iterdir())]
    records = sorted(
        (record for clinic in clinics for record in clinic.splits.sides()[side]), key=lambda one: one.image_id
    )
    data = load_labelled(records, card.model, card.preprocess)
    return RunImages(
        classifier=classifier,
        explainer=explainer,
        classes=card.model.classes,
        records=tuple(records),
        pixels=data.images,
        labels=data.labels,
        predicted=explainer.predict(data.images.astype(np.float32)).argmax(1),
        preprocess=card.preprocess,
        nulls=nulls_of((record for clinic in clinics for record in clinic.splits.train), card.preprocess),
    )


def spaced(indices: Indices, count: int) -> Indices:
    """At most so many of the indices, evenly spaced."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices)))
    return indices[places.astype(np.int64)]
