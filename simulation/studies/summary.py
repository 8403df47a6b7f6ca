"""A study's rows as one table: the mean over the seeds, and how far another seed could be from it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from dermafed.simulation.studies.markdown_table import heading, markdown_table
from dermafed.simulation.studies.resampled_metrics import ALL, MEAN
from dermafed.simulation.studies.study_runs import StudyRun, differs_by_clinic

FIGURES = ("balanced_accuracy", "auc", "accuracy", "precision", "recall", "f1", "challenge_auc")
ARMS = ("federated", "tuned", "pooled", "local")
PUBLISHED = "as published"

_CHALLENGE = ("melanoma", "seborrheic_keratosis")


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A figure of several seeds.

    Attributes:
        values: one a seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.values)

    @property
    def half_width(self) -> float:
        """Half of the mean's 95 % interval by Student's t, NaN for one seed.

        It tells how the mean of other seeds could differ on the same test images; nothing of other images.

        Example:
            0.60, 0.62 and 0.64 have the mean 0.62 and t(0.975, 2) * 0.02 / sqrt(3) = 0.0497.
        """
        count = len(self.values)
        if count < 2:
            return math.nan
        return float(student.ppf(0.975, count - 1)) * stdev(self.values) / math.sqrt(count)


def summarise(runs: Iterable[StudyRun]) -> list[dict[str, Any]]:
    """A line for each row, arm and figure: on all test images, and the mean over clinics.

    Returns:
        ``row``, ``arm``, ``tests`` (``all`` or ``mean over clinics``), ``figure``, ``values`` by seed,
        ``mean``, ``half_width`` (``None`` for one seed).
    """
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for run in runs:
        for arm, tests, figures in _judged(run.result()):
            if tests == ALL and differs_by_clinic(arm, run.settings):
                continue  # several models that guess differently would look like skill together
            for figure in FIGURES:
                if figures.get(figure) is not None:
                    found.setdefault((run.row, arm, tests, figure), []).append(figures[figure])
    names = ("row", "arm", "tests", "figure")
    return [dict(zip(names, key, strict=True)) | over_seeds(values) for key, values in found.items()]


def _judged(result: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    for arm in ARMS:
        if result.get(arm):
            figures = result[arm].get("test", result[arm])
            yield arm, ALL, {**figures, "challenge_auc": challenge_auc(figures)}
            yield arm, MEAN, result[arm]["mean_over_clinics"]
    if result.get("local"):
        yield "own", MEAN, _mean(result["local"]["clinics"].values())


def _mean(clinics: Collection[Mapping[str, Any]]) -> dict[str, float]:
    """The mean over the clinics of each figure that all of them have."""
    told = (figure for figure in FIGURES if all(own.get(figure) is not None for own in clinics))
    return {figure: fmean(own[figure] for own in clinics) for figure in told}


def challenge_auc(figures: Mapping[str, Any]) -> float | None:
    """Mean AUC of melanoma and of seborrheic keratosis, each against the rest.

    The figure that ranked ISIC 2017's entries (Codella et al. 2018, arXiv:1710.05006); ``None`` where a
    model's figures do not have both.
    """
    found = [figures.get("per_class", {}).get(name, {}).get("auc") for name in _CHALLENGE]
    return None if None in found else fmean(found)


def published_lines(published: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """What others published of the rows, as lines like :func:`summarise`'s; on their own images."""
    return [
        {"row": row, "arm": PUBLISHED, "tests": "all", "figure": figure, **over_seeds([value])}
        for row, figures in published.items()
        for figure, value in figures.items()
    ]


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """A line's ``values``, ``mean`` and ``half_width``."""
    over = OverSeeds(tuple(values))
    half = None if math.isnan(over.half_width) else over.half_width
    return {"values": list(values), "mean": over.mean, "half_width": half}


def markdown(lines: Sequence[Mapping[str, Any]], *, tests: str = "all") -> str:
    """The lines of one kind of tests as a Markdown table, a row and arm to a line, figures in columns."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for line in lines:
        if line["tests"] == tests:
            cells.setdefault((line["row"], line["arm"]), {})[line["figure"]] = cell(line)
    figures = dict.fromkeys((*FIGURES, *(figure for row in cells.values() for figure in row)))
    shown = [figure for figure in figures if any(figure in row for row in cells.values())]
    head = ["Row", "Trained", *map(heading, shown)]
    rows = [[row, arm, *(found.get(figure, "") for figure in shown)] for (row, arm), found in cells.items()]
    return markdown_table(head, rows, names=2)


def cell(line: Mapping[str, Any]) -> str:
    """A line's mean with its interval, for a table."""
    if line.get("low") is not None:
        return f"{line['mean']:.3f} ({line['low']:.3f} to {line['high']:.3f})"
    half = "" if line.get("half_width") is None else f" ± {line['half_width']:.3f}"
    return f"{line['mean']:.3f}{half}"


def as_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines as CSV, the seeds' ``values`` separated by spaces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**line, "values": " ".join(f"{own:.6f}" for own in line["values"])} for line in lines)
    return text.getvalue()
