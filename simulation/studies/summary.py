"""A study's rows as one table: the mean over the seeds, and its interval over other seeds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from dermafed.shared.storage.atomic_files import csv_text
from dermafed.simulation.studies.markdown_table import heading, markdown_table
from dermafed.simulation.studies.resampled_metrics import ALL, MEAN
from dermafed.simulation.studies.study_runs import StudyRun, differs_by_clinic

METRICS = ("balanced_accuracy", "auc", "accuracy", "precision", "recall", "f1", "challenge_auc")
ARMS = ("federated", "tuned", "pooled", "local")
PUBLISHED = "as published"

_CHALLENGE = ("melanoma", "seborrheic_keratosis")


def summarise(runs: Iterable[StudyRun]) -> list[dict[str, Any]]:
    """A line for each row, arm and metric: on all test images, and the mean over clinics.

    Returns:
        ``row``, ``arm``, ``tests`` (``all`` or ``mean over clinics``), ``figure``, ``values`` by seed,
        ``mean``, ``half_width`` (``None`` for one seed).
    """
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for run in runs:
        for arm, tests, metrics in _arm_metrics(run.result()):
            if tests == ALL and differs_by_clinic(arm, run.settings):
                continue  # differences between the clinics' models would count as skill there
            for metric in METRICS:
                if metrics.get(metric) is not None:
                    found.setdefault((run.row, arm, tests, metric), []).append(metrics[metric])
    names = ("row", "arm", "tests", "figure")
    return [dict(zip(names, key, strict=True)) | over_seeds(values) for key, values in found.items()]


def _arm_metrics(result: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    for arm in ARMS:
        if result.get(arm):
            metrics = result[arm].get("test", result[arm])
            yield arm, ALL, {**metrics, "challenge_auc": challenge_auc(metrics)}
            yield arm, MEAN, result[arm]["mean_over_clinics"]
    if result.get("local"):
        yield "own", MEAN, _mean(result["local"]["clinics"].values())


def _mean(clinics: Collection[Mapping[str, Any]]) -> dict[str, float]:
    """The mean over the clinics of each metric that all of them have."""
    common = (metric for metric in METRICS if all(own.get(metric) is not None for own in clinics))
    return {metric: fmean(own[metric] for own in clinics) for metric in common}


def challenge_auc(metrics: Mapping[str, Any]) -> float | None:
    """Mean AUC of melanoma and of seborrheic keratosis, each against the rest.

    The metric that ranked ISIC 2017's entries (Codella et al. 2018, arXiv:1710.05006); ``None`` where a
    model's metrics do not have both.
    """
    found = [metrics.get("per_class", {}).get(name, {}).get("auc") for name in _CHALLENGE]
    return None if None in found else fmean(found)


def published_lines(published: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Published metrics of the rows, as lines like those of :func:`summarise`; on other images."""
    return [
        {"row": row, "arm": PUBLISHED, "tests": "all", "figure": metric, **over_seeds([value])}
        for row, metrics in published.items()
        for metric, value in metrics.items()
    ]


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """A line's ``values``, ``mean`` and ``half_width``: half of its 95 % interval by Student's t.

    The interval covers the mean of other seeds on the same test images; it says nothing about other images.

    Args:
        values: a metric of each seed; of one seed, the half width is ``None``.

    Example:
        0.60, 0.62 and 0.64 have the mean 0.62 and t(0.975, 2) * 0.02 / sqrt(3) = 0.0497.
    """
    count = len(values)
    half: float | None = None
    if count > 1:
        half = float(student.ppf(0.975, count - 1)) * stdev(values) / math.sqrt(count)
    return {"values": list(values), "mean": fmean(values), "half_width": half}


def markdown(lines: Sequence[Mapping[str, Any]], *, tests: str = "all") -> str:
    """The lines of one kind of tests as a Markdown table, a line for each arm, a column for each metric."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for line in lines:
        if line["tests"] == tests:
            cells.setdefault((line["row"], line["arm"]), {})[line["figure"]] = cell(line)
    metrics = dict.fromkeys((*METRICS, *(metric for row in cells.values() for metric in row)))
    shown = [metric for metric in metrics if any(metric in row for row in cells.values())]
    head = ["Row", "Trained", *map(heading, shown)]
    rows = [[row, arm, *(found.get(metric, "") for metric in shown)] for (row, arm), found in cells.items()]
    return markdown_table(head, rows, names=2)


def cell(line: Mapping[str, Any]) -> str:
    """A line's mean with its interval, for a table."""
    if line.get("low") is not None:
        return f"{line['mean']:.3f} ({line['low']:.3f} to {line['high']:.3f})"
    half = "" if line.get("half_width") is None else f" ± {line['half_width']:.3f}"
    return f"{line['mean']:.3f}{half}"


def as_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines as CSV, the seeds' ``values`` separated by spaces."""
    rows = ({**line, "values": " ".join(f"{own:.6f}" for own in line["values"])} for line in lines)
    return csv_text(list(lines[0]), rows)
