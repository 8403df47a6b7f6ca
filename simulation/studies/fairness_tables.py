"""The groups' figures, gaps and changes as Markdown tables, and the figures as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dermafed.shared.metrics.fairness.disclosure import FEWEST_IMAGES, FEWEST_OF_CLASS
from dermafed.shared.metrics.fairness.group_metrics import FIGURES
from dermafed.simulation.studies.markdown_table import heading, markdown_table

Line = Mapping[str, Any]

NAMES = {figure: heading(figure) for figure in FIGURES}
_INTRODUCTION = f"""Means over the seeds, 95 % intervals by a bootstrap over lesions. *By lot*: what the gap
exceeds once in twenty if groups are drawn by lot, and p by that permutation, not corrected for the number of
gaps. –: fewer than {FEWEST_IMAGES} images or {FEWEST_OF_CLASS} of a class, or what would give that away."""


def markdown(lines: Sequence[Line]) -> str:
    """The tables of lines of the kinds ``group``, ``gap`` and ``change``."""
    parts = ["# By group of patients", _INTRODUCTION]
    for row, arm in dict.fromkeys((line["row"], line["arm"]) for line in lines):
        own = [line for line in lines if (line["row"], line["arm"]) == (row, arm)]
        parts += [f"## {row}, {arm}", _groups(own), _gaps(own)]
    changes = _changes(lines)
    return "\n\n".join([*parts, f"## Changes against {lines[0]['row']}", changes]) + "\n"


def as_csv(lines: Iterable[Line]) -> str:
    """The lines of the kind ``group`` as CSV; what is not told is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("row", "arm", "attribute", "group", "images")
    writer.writerow([*names, *(f"{figure}{end}" for figure in FIGURES for end in ("", "_low", "_high"))])
    for line in lines:
        told = [line[figure] or {} for figure in FIGURES]
        values = [figure.get(end) for figure in told for end in ("value", "low", "high")]
        writer.writerow([*(line[name] for name in names), *("" if v is None else f"{v:.4f}" for v in values)])
    return text.getvalue()


def _groups(lines: Iterable[Line]) -> str:
    rows = [
        [line["attribute"], line["group"], _count(line["images"]), *(_cell(line[name]) for name in FIGURES)]
        for line in lines
        if line["kind"] == "group"
    ]
    return _table(["By", "Group", "Images", *NAMES.values()], rows, 2)


def _gaps(lines: Iterable[Line]) -> str:
    rows = [
        [
            line["attribute"],
            NAMES[line["figure"]],
            f"{line['lowest']}; {line['highest']}",
            _cell(line["gap"]),
            f"{line['chance']:.3f}",
            f"{line['p']:.3f}",
        ]
        for line in lines
        if line["kind"] == "gap"
    ]
    return _table(["By", "Figure", "Lowest; highest", "Gap", "By lot", "p"], rows, 3)


def _changes(lines: Iterable[Line]) -> str:
    rows = [
        [
            line["row"],
            line["arm"],
            line["attribute"],
            NAMES[line["figure"]],
            _cell(line["worst"], "+.3f"),
            _cell(line["gap"], "+.3f"),
        ]
        for line in lines
        if line["kind"] == "change"
    ]
    return _table(["Row", "Trained", "By", "Figure", "Worst group", "Gap"], rows, 4)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    return markdown_table(head, rows, names=names).rstrip() if rows else "None that may be told."


def _count(images: int | None) -> str:
    return "–" if images is None else str(images)


def _cell(figure: Line | None, form: str = ".3f") -> str:
    if figure is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:{form}}"
    return f"{figure['value']:{form}} ({figure['low']:{form}} to {figure['high']:{form}})"
