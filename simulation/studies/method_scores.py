"""Measures the quality of each method's explanations of one run's model, on some of its test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import Explain
from dermafed.shared.explain.quality.localisation import box_overlap, pixel_precision
from dermafed.shared.explain.quality.scoring import ImageAndMask, image_scores
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.model_file import load_model
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.simulation.studies.study_runs import StudyRun, saved_tests

CENTRE = "centre"

Scores = dict[str, float]


def method_scores(run: StudyRun, methods: Iterable[str], count: int) -> dict[str, Scores]:
    """Measures methods on a run's model.

    Args:
        run: a finished run with its model.
        methods: of :data:`dermafed.shared.explain.methods.METHODS`, or ``centre``.
        count: number of test images, evenly spaced over those of all clinics by name.

    Returns:
        By method, the mean of each measure over the images that have it.

    Raises:
        ModelError: the model cannot be read, or a method is not defined for it.
        ImageError: an image or mask cannot be read.
    """
    configure_backend(1)
    model, info = load_model(run.folder / "model.keras")
    records = _chosen(run, count)
    pixels = load_labelled(records, info.model, info.preprocess).images
    images = [(image, _mask(record, info.preprocess)) for image, record in zip(pixels, records, strict=True)]
    explainer = Explainer(model)
    explain = {name: centre if name == CENTRE else explainer.method(name) for name in methods}
    return {name: _means(explainer, method, images) for name, method in explain.items()}


def centre(image: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
    """A heatmap that ignores the image: a Gaussian in the middle."""
    place = np.linspace(-2, 2, len(image), dtype=np.float32)
    return np.exp(-(place[:, None] ** 2 + place**2) / 2)


def _chosen(run: StudyRun, count: int) -> list[LesionRecord]:
    every = [record for own in saved_tests(run).records.values() for record in own]
    every.sort(key=lambda record: record.image_id)
    places = np.linspace(0, len(every) - 1, min(count, len(every)))
    return [every[int(place)] for place in places]


def _mask(record: LesionRecord, preprocess: PreprocessSettings) -> NDArray[np.bool_] | None:
    mask = None if record.mask is None else lesion_mask(record.mask, preprocess)
    return mask if mask is not None and mask.any() else None


def _means(explainer: Explainer, explain: Explain, images: Sequence[ImageAndMask]) -> Scores:
    values: dict[str, list[float]] = {}
    for image, mask in images:
        target = int(explainer.predict(image[None].astype(np.float32))[0].argmax())
        heatmap = explain(image, target)
        found = image_scores(explain, explainer.predict, image, heatmap, target, mask)
        if mask is not None:
            found["box_overlap"] = box_overlap(heatmap, mask)
            found["pixel_precision"] = pixel_precision(heatmap, mask)
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(own)) for name, own in values.items()}
