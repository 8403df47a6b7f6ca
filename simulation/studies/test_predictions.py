"""A study's models on their test images and in resamples of these, by row, who trained, and seed.

An interval is of a bootstrap that draws both the test's patients or lesions and the seeds (Owen 2007, crossed
random effects), so it speaks of other images and of other trainings. K drawn seeds vary too little, by
(K - 1) / K, which is made good; that three seeds tell little of their own spread is not, so where trainings
differ more than images would, an interval is still too narrow. With one seed it is of images only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.intervals import over_trainings
from dermafed.simulation.runs.results import Predictions, TestImages
from dermafed.simulation.studies.queue import StudyRun
from dermafed.simulation.studies.resampled import ALL, MEAN, Floats, Values, image_sets, model_values, on_each
from dermafed.simulation.studies.saved_tests import at_home, kept_models, kept_tests

RESAMPLES = 5000

FEWEST_LESIONS = 5
"""Of a class; of fewer, a bootstrap makes intervals and p-values far too small."""

Model = tuple[str, str]
"""Row, and who trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What is known of one model of one seed.

    Attributes:
        images: tells the test images: equal where two models were judged on the same ones.
        values: its figures, on the images and in their resamples.
        right: by test set, whether it is right on each lesion's first image; empty for a mean of models.
        fewest: by test set, lesions of its rarest class; of the mean over clinics, the least of theirs.
    """

    images: tuple[int, ...]
    values: Values
    right: Mapping[str, NDArray[np.bool_]]
    fewest: Mapping[str, int]


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
            judged = _judged(images, kept, resamples)
            if at_home(arm, run.settings) and len(images.records) > 1:
                judged = _at_home(judged)
            models.setdefault((run.row, arm), {})[run.settings.seed] = judged
    return models


def over_images_and_seeds(values: Floats) -> Floats:
    """The mean over the seeds in every resample (R,), seeds drawn too.

    Args:
        values: of each seed itself [:, 0], then in every resample: (K, 1 + R).
    """
    return over_trainings(values[:, 1:].T)


def _judged(images: TestImages, models: Sequence[Predictions], resamples: int) -> Judged:
    sets = image_sets(images)
    right = {}
    if len(models) == 1:
        predicted = on_each(images, models[0])
        right = {name: own.right(predicted[name]) for name, own in sets.items()}
    fewest = {name: own.fewest for name, own in sets.items()}
    fewest[MEAN] = min(fewest.values())
    values = model_values(images, models, resamples)
    return Judged(tuple(own.seed for own in sets.values()), values, right, fewest)


def _at_home(judged: Judged) -> Judged:
    """Without all images together: that several models guess differently would look like skill there."""
    values = {key: own for key, own in judged.values.items() if key[0] != ALL}
    right = {name: own for name, own in judged.right.items() if name != ALL}
    return replace(judged, values=values, right=right)
