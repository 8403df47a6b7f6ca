"""What every model of a study makes of melanoma, with intervals, and how far the models of a row differ.

Of the predictions with scale and offsets; as trained where a run has none with them (version 0.1.0, second
views). All models are measured on the same resamples of lesions and seeds, so their differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.shared.metrics.intervals import BOOTSTRAP, percentile_interval
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.runs.arms import FEDERATED, POOLED, TUNED
from dermafed.simulation.studies.drawn_tests import Floats
from dermafed.simulation.studies.melanoma_figures import BENEFITS, BIOPSIES, OVER_ALL, PARTIAL_AUC
from dermafed.simulation.studies.melanoma_models import (
    MelanomaModel,
    Model,
    core_minutes,
    melanoma_models,
)
from dermafed.simulation.studies.melanoma_output import CORE_MINUTES, markdown
from dermafed.simulation.studies.melanoma_plots import curves_plot, figures_plot
from dermafed.simulation.studies.pairs import adjust, difference
from dermafed.simulation.studies.resampled_metrics import (
    ALL,
    FEWEST_LESIONS,
    RESAMPLES,
    over_images_and_seeds,
)
from dermafed.simulation.studies.second_opinions import DIFFERENCE, FEDERATED_AND_TUNED, TWO_TRAININGS
from dermafed.simulation.studies.study_runs import OWN, StudyRun
from dermafed.simulation.studies.summary import as_csv

Line = dict[str, Any]
BySeed = Mapping[int, MelanomaModel]

PAIRS = (
    (FEDERATED, POOLED),
    (FEDERATED, OWN),
    (TUNED, OWN),
    (TUNED, FEDERATED),
    (FEDERATED_AND_TUNED, FEDERATED),
    (TWO_TRAININGS, FEDERATED),
)

_RANGES = {
    PARTIAL_AUC: (0.0, 0.2),
    BIOPSIES: (1.0, math.inf),
    **dict.fromkeys((*BENEFITS, *OVER_ALL, DIFFERENCE), (-math.inf, math.inf)),
}


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``melanoma.csv``, ``.md`` and ``.svg`` and ``melanoma-curves.svg`` into a study's folder.

    Nothing where no run's classes have melanoma.
    """
    lines = melanoma_lines(runs)
    if lines:
        write_atomically(folder / "melanoma.csv", as_csv(lines).encode())
        write_atomically(folder / "melanoma.md", markdown(lines).encode())
        write_atomically(folder / "melanoma.svg", figures_plot(lines))
        write_atomically(folder / "melanoma-curves.svg", curves_plot(runs))
    return lines


def melanoma_lines(runs: Sequence[StudyRun], *, resamples: int = RESAMPLES) -> list[Line]:
    """Every figure of every model, then those of the differences of the models of a row.

    Args:
        runs: the finished runs.
        resamples: number of resamples of the bootstrap.

    Returns:
        A line for each: ``row``, ``arm`` (of a difference both, as ``federated - pooled``), ``tests`` (a
        clinic, ``all``, ``within clinics``, ``worst clinic``), ``figure``, ``predictions`` (``with offsets``
        or ``as trained``), ``seeds`` (their number), ``mean`` over them, ``low`` and ``high`` (95 %; ``None``
        where there are too few lesions, or nothing varies), ``p`` and ``p_holm`` of a difference, ``fewest``
        (lesions of the rarest class or side), ``values`` by seed.
    """
    models = melanoma_models(runs, resamples)
    lines = [line for model, by_seed in models.items() for line in _model_lines(model, by_seed, runs)]
    differences = [line for pair in _pairs(models) for line in _difference_lines(*pair, models)]
    adjust(differences)
    return lines + differences


def _model_lines(model: Model, by_seed: BySeed, runs: Sequence[StudyRun]) -> Iterator[Line]:
    row, arm, predictions = model
    names = {"row": row, "arm": arm, "predictions": predictions}
    for tests, figure in _common(by_seed):
        own = [each.figures[tests, figure] for each in by_seed.values()]
        values, fewest = np.stack([each.values for each in own]), min(each.fewest for each in own)
        interval = _interval(values, fewest, *_RANGES.get(figure, (0.0, 1.0)))
        yield _line(names, tests, figure, values[:, 0], interval, fewest)
    minutes = [core_minutes(run, arm) for run in runs if run.row == row and run.settings.seed in by_seed]
    if None not in minutes:
        yield _line(names, ALL, CORE_MINUTES, np.array(minutes, np.float64), (None, None), None)


def _common(*models: BySeed) -> list[tuple[str, str]]:
    """The figures that the models have with every seed."""
    first, *others = (each.figures for by_seed in models for each in by_seed.values())
    return [key for key in first if all(key in figures for figures in others)]


def _interval(values: Floats, fewest: int, low: float, high: float) -> tuple[float | None, float | None]:
    """Of the mean over the seeds, each (K, 1 + R)."""
    if fewest < FEWEST_LESIONS or not np.isfinite(values).all():
        return None, None
    found = percentile_interval(over_images_and_seeds(values).clip(low, high), BOOTSTRAP)
    return (None, None) if found is None else (found.low, found.high)


def _line(
    names: Line,
    tests: str,
    figure: str,
    values: Floats,
    interval: tuple[float | None, float | None],
    fewest: int | None,
) -> Line:
    return {
        "row": names["row"],
        "arm": names["arm"],
        "tests": tests,
        "figure": figure,
        "predictions": names["predictions"],
        "seeds": len(values),
        "mean": float(values.mean()),
        "low": interval[0],
        "high": interval[1],
        "p": None,
        "p_holm": None,
        "fewest": fewest,
        "values": values.tolist(),
    }


def _pairs(models: Mapping[Model, BySeed]) -> Iterator[tuple[Model, Model]]:
    """The models of each row that are compared, and every row's federated model with the first row's."""
    first = next(iter(models), ("", "", ""))[0]
    for row, predictions in dict.fromkeys((row, predictions) for row, _, predictions in models):
        pairs = [((row, a, predictions), (row, b, predictions)) for a, b in PAIRS]
        if row != first:
            pairs.append(((row, FEDERATED, predictions), (first, FEDERATED, predictions)))
        yield from ((a, b) for a, b in pairs if a in models and b in models)


def _difference_lines(a: Model, b: Model, models: Mapping[Model, BySeed]) -> Iterator[Line]:
    """a - b, of the seeds that both were trained with, and tested on the same images."""
    row, arm, predictions = a
    other = b[1] if b[0] == row else f"{b[1]} of {b[0]}"
    names = {"row": row, "arm": f"{arm} - {other}", "predictions": predictions}
    seeds = [
        seed for seed, own in models[a].items() if seed in models[b] and own.images == models[b][seed].images
    ]
    mine, yours = ({seed: models[model][seed] for seed in seeds} for model in (a, b))
    for key in _common(mine, yours) if seeds else ():
        own = [(mine[seed].figures[key], yours[seed].figures[key]) for seed in seeds]
        fewest = min(figure.fewest for pair in own for figure in pair)
        with np.errstate(invalid="ignore"):  # infinite numbers needed to biopsy
            values = np.stack([p.values - q.values for p, q in own])
        enough = fewest >= FEWEST_LESIONS and bool(np.isfinite(values).all())
        found = difference(values, enough)
        line = _line(names, *key, values[:, 0], (found["low"], found["high"]), fewest)
        yield line | {"p": found["p"]}
