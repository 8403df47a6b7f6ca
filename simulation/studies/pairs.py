"""Tests which rows of a study differ: every pair of models, on the same images and seeds.

The interval and p-value of a difference come from a bootstrap over images and trainings
(``resampled_metrics``); with one common seed, over images only. Accuracy has McNemar's exact test instead,
on one image of each lesion. Holm's adjustment is over all pairs of one metric on the same tests with the same
number of seeds, so exploratory rows with one seed do not weaken the comparison of the main rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.paired import bootstrap_p, combined_p, holm, mcnemar_p
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.resampled_metrics import (
    ALL,
    FEWEST_LESIONS,
    MEAN,
    METRICS,
    RESAMPLES,
    Floats,
    Model,
    ModelResamples,
    over_images_and_seeds,
    resampled_models,
)
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import as_csv

ACCURACY = "accuracy, one image a lesion"

Line = dict[str, Any]


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Compares all models of a study, and writes ``pairs.csv`` and ``pairs.md`` into its folder."""
    lines = compare(runs)
    if lines:
        write_atomically(folder / "pairs.csv", as_csv(lines).encode())
        write_atomically(folder / "pairs.md", markdown(lines).encode())
    return lines


def compare(runs: Sequence[StudyRun], *, resamples: int = RESAMPLES) -> list[Line]:
    """Compares every pair of models that were tested on the same images with the same seeds.

    Args:
        runs: the finished runs.
        resamples: number of resamples of the bootstrap.

    Returns:
        A line for each pair, test set and metric: ``a``, ``b``, ``tests``, ``figure``, ``seeds`` (how many
        both have), ``difference`` (a - b, mean over them), ``low`` and ``high`` (95 %, ``None`` for
        accuracy), ``p``, ``values`` by seed, ``p_holm``. Neither interval nor p-value where a clinic's test
        has too few lesions of a class.
    """
    models = resampled_models(tuple(runs), resamples)
    lines = [line for a, b in combinations(models, 2) for line in _pair(a, b, models[a], models[b])]
    adjust(lines)
    return lines


def _pair(
    a: Model, b: Model, mine: Mapping[int, ModelResamples], yours: Mapping[int, ModelResamples]
) -> Iterator[Line]:
    """The lines of one pair, over the seeds in which both were tested on the same images."""
    both = [(mine[s], yours[s]) for s in mine if s in yours and mine[s].images == yours[s].images]
    if not both:
        return
    names = {"a": ", ".join(a), "b": ", ".join(b)}
    for tests, metric in both[0][0].values:
        if metric in METRICS and all((tests, metric) in model.values for pair in both for model in pair):
            values = np.stack([p.values[tests, metric] - q.values[tests, metric] for p, q in both])
            enough = all(model.fewest[tests] >= FEWEST_LESIONS for model, _ in both)
            yield names | {"tests": tests, "figure": metric} | difference(values, enough)
    for tests in (tests for tests in both[0][0].right if tests in both[0][1].right):
        right = [(p.right[tests], q.right[tests]) for p, q in both]
        yield names | {"tests": tests, "figure": ACCURACY} | _mcnemar(right)


def difference(values: Floats, enough: bool) -> Line:
    """A difference's ``seeds``, ``difference``, ``low``, ``high``, ``p`` and ``values``.

    Args:
        values: of each seed, itself, then in every resample, float64 (K, 1 + R).
        enough: whether there are lesions enough for an interval and a p-value.
    """
    if not enough:
        return _line(values[:, 0], None, None, None)
    means = over_images_and_seeds(values)
    low, high = np.percentile(means, [2.5, 97.5])
    return _line(values[:, 0], bootstrap_p(means), float(low), float(high))


def _mcnemar(right: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> Line:
    own = np.array([mine.mean() - yours.mean() for mine, yours in right])
    return _line(own, combined_p([mcnemar_p(mine, yours) for mine, yours in right]), None, None)


def _line(by_seed: Floats, p: float | None, low: float | None, high: float | None) -> Line:
    return {
        "seeds": len(by_seed),
        "difference": float(by_seed.mean()),
        "low": low,
        "high": high,
        "p": p,
        "values": by_seed.tolist(),
    }


def adjust(lines: Sequence[Line]) -> None:
    """Adds ``p_holm`` to lines, by Holm over those of one metric on the same tests with as many seeds."""
    families: dict[tuple[str, str, int], list[Line]] = {}
    for line in lines:
        line["p_holm"] = None
        if line["p"] is not None:
            families.setdefault((line["tests"], line["figure"], line["seeds"]), []).append(line)
    for family in families.values():
        for line, adjusted in zip(family, holm([line["p"] for line in family]), strict=True):
            line["p_holm"] = adjusted


def markdown(lines: Sequence[Line]) -> str:
    """The differences in balanced accuracy as Markdown, on all images and as the mean over clinics."""
    text = ["# Pairs: difference in balanced accuracy, A - B"]
    for tests in (ALL, MEAN):
        own = [line for line in lines if (line["tests"], line["figure"]) == (tests, "balanced_accuracy")]
        if own:
            table = markdown_table(["A", "B", "Seeds", "A - B", "95 %", "p (Holm)"], map(_row, own), names=2)
            text.append(f"On {tests}:\n\n{table}")
    return "\n\n".join(text)


def _row(line: Line) -> list[str]:
    span = "–" if line["low"] is None else f"{line['low']:+.3f} to {line['high']:+.3f}"
    names = [line["a"], line["b"], str(line["seeds"])]
    p = "–" if line["p_holm"] is None else f"{line['p_holm']:.3f}"
    return [*names, f"{line['difference']:+.3f}", span, p]
