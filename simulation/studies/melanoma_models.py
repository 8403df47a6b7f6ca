"""The figures of every model of a study's finished runs on melanoma, and of two models asked together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from dermafed.server.rounds.history import HISTORY_FILE, read_history
from dermafed.simulation.runs.arms import FEDERATED, LOCAL, POOLED
from dermafed.simulation.runs.melanoma_results import ClinicsLesions
from dermafed.simulation.studies.drawn_tests import DrawnTests
from dermafed.simulation.studies.melanoma_figures import Figures, melanoma_figures
from dermafed.simulation.studies.saved_models import (
    SavedModel,
    has_melanoma,
    saved_models,
    threshold_of,
    together,
)
from dermafed.simulation.studies.second_opinions import doubts, mean_model, second_opinions
from dermafed.simulation.studies.study_runs import OWN, StudyRun, arm_folder, saved_lesions

Model = tuple[str, str, str]
"""Row, arm (or which two models together), and which predictions."""


@dataclass(frozen=True, slots=True, eq=False)
class MelanomaModel:
    """The figures of one model of one seed.

    Attributes:
        images: identifies the test images: equal where two models were tested on the same ones.
        figures: on them, and on their resamples.
    """

    images: int
    figures: Figures


@dataclass(frozen=True, slots=True, eq=False)
class _TestedRun:
    """A finished run that knows melanoma: its clinics' images, their resamples, and its models by arm."""

    seed: int
    lesions: ClinicsLesions
    tests: DrawnTests
    saved: dict[str, SavedModel]

    def figures(self, model: SavedModel) -> MelanomaModel:
        test = together(self.lesions, model.test)
        equal = None if model.equal is None else together(self.lesions, model.equal)
        threshold = threshold_of(self.lesions, model)
        return MelanomaModel(self.tests.seed, melanoma_figures(self.tests, test, threshold, equal))

    def with_doubts(self, one: SavedModel, other: SavedModel) -> MelanomaModel:
        mean = self.figures(mean_model(one, other))
        own = doubts(self.tests, together(self.lesions, one.test), together(self.lesions, other.test))
        return MelanomaModel(mean.images, mean.figures | own)


def melanoma_models(runs: Sequence[StudyRun], resamples: int) -> dict[Model, dict[int, MelanomaModel]]:
    """Every model of finished runs, by its name and seed; none of runs that do not know melanoma.

    Args:
        runs: the finished runs, those of a row one after the other.
        resamples: number of resamples of the bootstrap.
    """
    models: dict[Model, dict[int, MelanomaModel]] = {}
    for row, own in groupby(runs, key=attrgetter("row")):
        for seed, arm, predictions, model in _models_of_row(list(own), resamples):
            models.setdefault((row, arm, predictions), {})[seed] = model
    return models


def _models_of_row(runs: Sequence[StudyRun], resamples: int) -> Iterator[tuple[int, str, str, MelanomaModel]]:
    tested = {run.settings.seed: found for run in runs if (found := _tested(run, resamples))}
    for run in tested.values():
        for arm, saved in run.saved.items():
            yield run.seed, arm, saved.predictions, run.figures(saved)
    if len({run.tests.seed for run in tested.values()}) != 1:
        return  # other test images with each seed
    for seed, name, one, other in second_opinions({seed: run.saved for seed, run in tested.items()}):
        yield seed, name, one.predictions, tested[seed].with_doubts(one, other)


def _tested(run: StudyRun, resamples: int) -> _TestedRun | None:
    lesions = saved_lesions(run)
    if not has_melanoma(lesions):
        return None
    tests = DrawnTests.of(lesions, resamples)
    return _TestedRun(run.settings.seed, lesions, tests, saved_models(run))


def core_minutes(run: StudyRun, arm: str) -> float | None:
    """How long a finished run's arm trained, on one core; ``None`` where no history tells.

    Args:
        run: the finished run, each of whose arms was trained by a process of one thread.
        arm: ``own`` are all clinics' own models together; tuning is not recorded.
    """
    histories = [read_history(folder) for folder in _folders(run, arm) if (folder / HISTORY_FILE).exists()]
    return sum(row.seconds for rows in histories for row in rows) / 60 if histories else None


def _folders(run: StudyRun, arm: str) -> Iterator[Path]:
    if arm in (FEDERATED, POOLED):
        yield arm_folder(run, arm)
    elif arm == OWN:
        yield from (arm_folder(run, f"{LOCAL}{name}") for name in saved_lesions(run).clinics)
