"""A study's models on their test images and in resamples of these, by row, who trained, and seed.

An interval is of a bootstrap that draws both the test's patients or lesions and the seeds (Owen 2007, crossed
random effects), so it speaks of other images and of other trainings; with three seeds the trainings' share of
the variance is a third too small, and with one there is none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulation.results import Predictions, TestImages
from simulation.studies.kept import kept_models, kept_tests
from simulation.studies.queue import StudyRun
from simulation.studies.resampled import Floats, Values, image_sets, model_values, on_each

RESAMPLES = 5000

Model = tuple[str, str]
"""Row, and who trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What is known of one model of one seed.

    Attributes:
        images: tells the test images: equal where two models were judged on the same ones.
        values: its figures, on the images and in their resamples.
        right: by test set, whether it is right on each lesion's first image; empty for a mean of models.
    """

    images: tuple[int, ...]
    values: Values
    right: Mapping[str, NDArray[np.bool_]]


@lru_cache(maxsize=1)
def judged_models(runs: tuple[StudyRun, ...], resamples: int) -> dict[Model, dict[int, Judged]]:
    """Every model of finished runs, by its name and seed; remembered for the next judgement.

    Args:
        runs: finished.
        resamples: of the bootstrap.
    """
    models: dict[Model, dict[int, Judged]] = {}
    for run in runs:
        images = kept_tests(run)
        for arm, kept in kept_models(run).items():
            models.setdefault((run.row, arm), {})[run.settings.seed] = _judged(images, kept, resamples)
    return models


def over_images_and_seeds(values: Floats) -> Floats:
    """The mean over the seeds in every resample (R,), seeds drawn too.

    Args:
        values: of each seed itself [:, 0], then in every resample: (K, 1 + R).
    """
    resampled = values[:, 1:]
    seeds, count = resampled.shape
    drawn = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=count)
    return np.asarray((drawn * resampled.T).sum(axis=1) / seeds)


def _judged(images: TestImages, models: Sequence[Predictions], resamples: int) -> Judged:
    sets = image_sets(images)
    right = {}
    if len(models) == 1:
        predicted = on_each(images, models[0])
        right = {name: own.right(predicted[name]) for name, own in sets.items()}
    return Judged(tuple(own.seed for own in sets.values()), model_values(images, models, resamples), right)
