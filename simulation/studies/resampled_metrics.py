"""A model's metrics on a finished run's test images, and on resamples of them that all models share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.diagnoses import canonical
from dermafed.shared.lesions.lesion_groups import draw
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.classification import classification_report
from dermafed.shared.metrics.intervals import over_trainings, resample
from dermafed.simulation.runs.results import Predictions, TestImages
from dermafed.simulation.studies.study_runs import StudyRun, differs_by_clinic, saved_predictions, saved_tests

ALL, MEAN = "all", "mean over clinics"
METRICS = ("balanced_accuracy", "auc")

Floats = NDArray[np.float64]
Values = dict[tuple[str, str], Floats]

RESAMPLES = 5000

FEWEST_LESIONS = 5
"""The fewest lesions of a class: with fewer, a bootstrap makes intervals and p-values far too small."""

Model = tuple[str, str]
"""Row and arm."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images to test models on, and the seed of their resamples.

    The seed is drawn from the images: models that are tested on the same images get the same resamples, so
    that differences between models are paired, and other images get other resamples.

    Attributes:
        records: the images.
        labels: their classes' indices, int64 (N,).
        classes: the models' classes.
    """

    records: Sequence[LesionRecord]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    @property
    def seed(self) -> int:
        """The seed of the resamples."""
        return draw(0, *(f"{record.image_id} {record.label}" for record in self.records))

    @property
    def fewest(self) -> int:
        """Number of lesions of the rarest class in the images."""
        lesions = {(record.group, record.label) for record in self.records}
        return min(Counter(label for _, label in lesions).values())

    def values(self, probabilities: NDArray[np.float32], resamples: int) -> dict[str, Floats]:
        """Each defined metric, and each diagnosis' sensitivity, on the images [0] and the resamples [1:].

        Args:
            probabilities: probabilities of the classes (N, C).
            resamples: number of resamples, R.

        Returns:
            float64 (1 + R,) by the metric's name.
        """
        report = classification_report(self.labels, probabilities, self.classes, bootstrap=0)
        groups = [record.group for record in self.records]
        scores = probabilities.astype(np.float64)
        drawn = resample(self.labels, scores, groups, seed=self.seed, count=resamples)
        own = {metric: getattr(report, metric) for metric in METRICS}
        resampled = {metric: getattr(drawn, metric) for metric in METRICS}
        for place, name in enumerate(name for name in self.classes if name not in report.absent):
            metric = f"sensitivity of {canonical(name)}"
            own[metric], resampled[metric] = report.per_class[name].recall, drawn.recall[:, place]
        return {
            metric: np.append(value, resampled[metric]) for metric, value in own.items() if value is not None
        }

    def right(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the first image of each lesion is classified correctly: independent decisions."""
        _, first = np.unique([record.group for record in self.records], return_index=True)
        return np.asarray(probabilities.argmax(axis=1) == self.labels)[first]


def image_sets(images: TestImages) -> dict[str, ImageSet]:
    """A run's test images: each clinic's by its name where there are several, and all together."""
    together = [record for own in images.records.values() for record in own]
    clinics = {images.names[folder]: records for folder, records in images.records.items()}
    named = (clinics if len(clinics) > 1 else {}) | {ALL: together}
    return {
        name: ImageSet(records, np.array([images.classes.index(r.label) for r in records]), images.classes)
        for name, records in named.items()
    }


def on_each(images: TestImages, predictions: Predictions) -> dict[str, NDArray[np.float32]]:
    """A model's probabilities on each clinic's images, and on all."""
    named = {name: predictions[folder] for folder, name in images.names.items()}
    return named | {ALL: np.concatenate(list(named.values()))}


def model_values(images: TestImages, models: Iterable[Predictions], resamples: int) -> Values:
    """The mean metrics of some models, by test set and metric; also the mean over the clinics.

    Args:
        images: the test images.
        models: the models' probabilities on them.
        resamples: number of resamples, R.

    Returns:
        Arrays (1 + R,): the metric on the images, then on every resample.
    """
    sets = image_sets(images)
    found: dict[tuple[str, str], list[Floats]] = {}
    for model in models:
        predicted = on_each(images, model)
        for name, own in sets.items():
            for metric, values in own.values(predicted[name], resamples).items():
                found.setdefault((name, metric), []).append(values)
    means = {key: np.mean(values, axis=0) for key, values in found.items()}
    for metric in dict.fromkeys(metric for _, metric in means):
        clinics = [values for (name, of), values in means.items() if name != ALL and of == metric]
        if clinics:
            means[MEAN, metric] = np.mean(clinics, axis=0)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class ModelResamples:
    """The metrics of one model of one seed.

    Attributes:
        images: identifies the test images: equal where two models were tested on the same ones.
        values: its metrics, on the images and on their resamples.
        right: by test set, whether it is right on each lesion's first image; empty for a mean of models.
        fewest: by test set, lesions of the rarest class; for the mean over clinics, the fewest of theirs.
    """

    images: tuple[int, ...]
    values: Values
    right: Mapping[str, NDArray[np.bool_]]
    fewest: Mapping[str, int]


@lru_cache(maxsize=1)
def resampled_models(runs: tuple[StudyRun, ...], resamples: int) -> dict[Model, dict[int, ModelResamples]]:
    """Every model of finished runs, by its name and seed; cached for the next analysis.

    Args:
        runs: the finished runs.
        resamples: number of resamples of the bootstrap.
    """
    models: dict[Model, dict[int, ModelResamples]] = {}
    for run in runs:
        images = saved_tests(run)
        for arm, predictions in saved_predictions(run).items():
            model = _model_resamples(images, predictions, resamples)
            if differs_by_clinic(arm, run.settings) and len(images.records) > 1:
                model = _without_pooled_tests(model)
            models.setdefault((run.row, arm), {})[run.settings.seed] = model
    return models


def over_images_and_seeds(values: Floats) -> Floats:
    """The mean over the seeds in every resample (R,), with resampled seeds.

    Args:
        values: each seed's value [:, 0], then its values in every resample: (K, 1 + R).
    """
    return over_trainings(values[:, 1:].T)


def _model_resamples(images: TestImages, models: Sequence[Predictions], resamples: int) -> ModelResamples:
    sets = image_sets(images)
    right = {}
    if len(models) == 1:
        predicted = on_each(images, models[0])
        right = {name: own.right(predicted[name]) for name, own in sets.items()}
    fewest = {name: own.fewest for name, own in sets.items()}
    fewest[MEAN] = min(fewest.values())
    values = model_values(images, models, resamples)
    return ModelResamples(tuple(own.seed for own in sets.values()), values, right, fewest)


def _without_pooled_tests(model: ModelResamples) -> ModelResamples:
    """Without all images together: differences between the clinics' models would count as skill there."""
    values = {key: own for key, own in model.values.items() if key[0] != ALL}
    right = {name: own for name, own in model.right.items() if name != ALL}
    return replace(model, values=values, right=right)
