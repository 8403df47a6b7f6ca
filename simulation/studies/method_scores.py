"""Measures the quality of each method's explanations of one run's model, on some of its test images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import Contrast
from dermafed.shared.explain.quality.lesion_deletion import drop_ratios
from dermafed.shared.explain.quality.method_quality import (
    MeasuredMethod,
    MethodQuality,
    mean_scores,
    method_quality,
    with_best_widths,
)
from dermafed.shared.explain.quality.null_masks import nulls_of
from dermafed.shared.explain.quality.nulls import WIDTHS, Nulls, blob
from dermafed.shared.explain.quality.randomisation import randomised
from dermafed.shared.explain.quality.scoring import Scores
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.model_file import load_model
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.simulation.studies.finder_method import finder_method
from dermafed.simulation.studies.method_names import BLOB, CONTROLS, FINDER, MEAN_MASK, OF_ANOTHER_IMAGE
from dermafed.simulation.studies.study_runs import StudyRun, clinic_folders, saved_tests

_DEFINED_FOR = {"cam": ("pooled",), "evidence": ("blocks", "lesion")}
"""The features of models for which a method is defined, where not for all."""


def method_scores(run: StudyRun, methods: Iterable[str], count: int) -> dict[str, Scores]:
    """Measures methods on a run's model, and the nulls.

    Args:
        run: a finished run with its model.
        methods: of :data:`dermafed.shared.explain.methods.METHODS`; those that the model does not have are
            left out.
        count: number of test images, evenly spaced over those of all clinics by name; of those with a lesion
            mask, if there are any.

    Returns:
        The mean of each measure over the images that have it: of each method, of each of the
        :func:`controls`, of the model's lesion finder if it has one, and as ``METHOD of another image`` of
        the method's map of the next image.

    Raises:
        ModelError: the model or its finder cannot be read, or a method is not defined for it.
        ImageError: an image or mask cannot be read.
    """
    configure_backend(1)
    file = run.folder / "model.keras"
    model, info = load_model(file)
    records = _chosen(run, count)
    pixels = load_labelled(records, info.model, info.preprocess).images
    images = [(image, _mask(record, info.preprocess)) for image, record in zip(pixels, records, strict=True)]
    nulls = nulls_of(_training(run), info.preprocess)
    of_chance = randomised(model, "everything")
    trained, shuffled = Explainer(model), Explainer(of_chance)
    compared = {
        name: MeasuredMethod(trained.contrast(name), shuffled.contrast(name))
        for name in methods
        if info.model.features in _DEFINED_FOR.get(name, (info.model.features,))
    }
    if (finder := finder_method(file, model, of_chance)) is not None:
        compared[FINDER] = finder
    for name, heatmap in controls(info.preprocess.image_size, nulls).items():
        compared[name] = MeasuredMethod(ignoring(heatmap), ignoring(heatmap))
    measured = {
        name: method_quality(method, trained.predict, images, nulls) for name, method in compared.items()
    }
    if nulls is not None:
        measured[BLOB] = with_best_widths(measured[BLOB], images, nulls)
    return {key: scores for name, own in measured.items() for key, scores in _summary(name, own)}


def controls(side: int, nulls: Nulls | None) -> dict[str, NDArray[np.float32]]:
    """The maps that do not look at the image, by name; the mean mask only where there are masks."""
    mean_mask = {} if nulls is None else {MEAN_MASK: nulls.mean_mask}
    return {BLOB: blob(side, WIDTHS[0]), **mean_mask}


def ignoring(heatmap: NDArray[np.float32]) -> Contrast:
    """A method with one map for every image and class."""
    return lambda image, target, against: heatmap


def _summary(name: str, quality: MethodQuality) -> Iterable[tuple[str, Scores]]:
    yield name, {**mean_scores(quality.images), **drop_ratios(quality.images)}
    if name not in CONTROLS and quality.other_image:
        yield f"{name} {OF_ANOTHER_IMAGE}", mean_scores(quality.other_image)


def _chosen(run: StudyRun, count: int) -> list[LesionRecord]:
    every = [record for own in saved_tests(run).records.values() for record in own]
    every = [record for record in every if record.mask is not None] or every
    every.sort(key=lambda record: record.image_id)
    places = np.linspace(0, len(every) - 1, min(count, len(every)))
    return [every[int(place)] for place in places]


def _training(run: StudyRun) -> list[LesionRecord]:
    clinics = [read_clinic_split(folder) for folder in clinic_folders(run)]
    return sorted((record for own in clinics for record in own.splits.train), key=lambda own: own.image_id)


def _mask(record: LesionRecord, preprocess: PreprocessSettings) -> NDArray[np.bool_] | None:
    return None if record.mask is None else lesion_mask(record.mask, preprocess)
