"""Metrics by group of patients, their gaps and changes as Markdown tables, CSV and a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dermafed.shared.metrics.fairness.disclosure import FEWEST_IMAGES, FEWEST_OF_CLASS
from dermafed.shared.metrics.fairness.group_metrics import METRICS
from dermafed.simulation.studies.markdown_table import heading, markdown_table
from dermafed.simulation.studies.plots import as_svg

Line = Mapping[str, Any]

NAMES = {metric: heading(metric) for metric in METRICS}
_INTRODUCTION = f"""Means over the seeds, 95 % intervals by a bootstrap over lesions. *By chance*: the
gap of randomly drawn groups exceeds this one time in twenty; p is of the same permutation test, not corrected
for the number of gaps. –: fewer than {FEWEST_IMAGES} images or {FEWEST_OF_CLASS} of a class, or a value that
would disclose such a count."""

_COLOURS = {"federated": "#4477aa", "pooled": "#ee6677", "own": "#228833"}  # Paul Tol's: for the colour-blind
_MARKERS = {"federated": "o", "pooled": "s", "own": "^"}
_STYLE: Any = {"font.size": 9}


def markdown(lines: Sequence[Line]) -> str:
    """The tables of lines of the kinds ``group``, ``gap`` and ``change``."""
    parts = ["# By group of patients", _INTRODUCTION]
    for row, arm in dict.fromkeys((line["row"], line["arm"]) for line in lines):
        own = [line for line in lines if (line["row"], line["arm"]) == (row, arm)]
        parts += [f"## {row}, {arm}", _groups(own), _gaps(own)]
    changes = _changes(lines)
    return "\n\n".join([*parts, f"## Changes against {lines[0]['row']}", changes]) + "\n"


def as_csv(lines: Iterable[Line]) -> str:
    """The lines of the kind ``group`` as CSV; a cell that is not disclosed is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("row", "arm", "attribute", "group", "images")
    writer.writerow([*names, *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high"))])
    for line in lines:
        disclosed = [line[metric] or {} for metric in METRICS]
        values = [metric.get(end) for metric in disclosed for end in ("value", "low", "high")]
        writer.writerow([*(line[name] for name in names), *("" if v is None else f"{v:.4f}" for v in values)])
    return text.getvalue()


def _groups(lines: Iterable[Line]) -> str:
    rows = [
        [line["attribute"], line["group"], _count(line["images"]), *(_cell(line[name]) for name in METRICS)]
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
    return _table(["By", "Metric", "Lowest; highest", "Gap", "By chance", "p"], rows, 3)


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
    return _table(["Row", "Trained", "By", "Metric", "Worst group", "Gap"], rows, 4)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    return markdown_table(head, rows, names=names).rstrip() if rows else "None that may be disclosed."


def _count(images: int | None) -> str:
    return "–" if images is None else str(images)


def _cell(metric: Line | None, form: str = ".3f") -> str:
    if metric is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:{form}}"
    return f"{metric['value']:{form}} ({metric['low']:{form}} to {metric['high']:{form}})"


def group_plot(lines: Sequence[Line], row: str) -> bytes:
    """Draws a row's metrics by group; a group without disclosed metrics has no mark.

    Args:
        lines: lines of the kind ``group``.
        row: the study's row to draw.

    Returns:
        SVG.
    """
    drawn = [line for line in lines if line["row"] == row]
    places = _places(drawn)
    with mpl.rc_context(_STYLE):
        height = 1.2 + 0.22 * (max(places.values(), default=0) + 1)
        figure = Figure(figsize=(9.0, height), layout="constrained")
        panels = figure.subplots(1, len(METRICS), sharey=True)
        for axes, metric in zip(panels, METRICS, strict=True):
            _draw(axes, drawn, metric, places)
        _label(panels[0], places)
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
        )
    return as_svg(figure)


def _places(lines: Sequence[Line]) -> dict[tuple[str, str], float]:
    """Heights of the groups from top to bottom, with a gap between the attributes."""
    keys = list(dict.fromkeys((line["attribute"], line["group"]) for line in lines))
    attributes = list(dict.fromkeys(attribute for attribute, _ in keys))
    return {key: place + 1.2 * attributes.index(key[0]) for place, key in enumerate(keys)}


def _draw(axes: Axes, lines: Sequence[Line], metric: str, places: Mapping[tuple[str, str], float]) -> None:
    arms = list(dict.fromkeys(line["arm"] for line in lines))
    for number, arm in enumerate(arms):
        disclosed = [line for line in lines if line["arm"] == arm and line[metric] is not None]
        shift = 0.25 * (number - (len(arms) - 1) / 2)
        values = [line[metric]["value"] for line in disclosed]
        heights = [places[line["attribute"], line["group"]] + shift for line in disclosed]
        ends = [
            (line[metric]["low"], line[metric]["high"], height)
            for line, height in zip(disclosed, heights, strict=True)
            if line[metric]["low"] is not None
        ]
        lows, highs, at = zip(*ends, strict=True) if ends else ((), (), ())
        axes.hlines(at, lows, highs, color=_COLOURS[arm], linewidth=1.2)
        axes.plot(values, heights, _MARKERS[arm], color=_COLOURS[arm], markersize=4, label=arm)
    axes.set_xlabel(NAMES[metric])
    axes.set_xlim(0, 1 if metric != "calibration_error" else None)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _label(axes: Axes, places: Mapping[tuple[str, str], float]) -> None:
    firsts = {attribute: place for (attribute, _), place in reversed(list(places.items()))}
    groups = {place: group for (_, group), place in places.items()}
    heads = {place - 1: f"$\\bf{{{attribute.replace(' ', '~')}}}$" for attribute, place in firsts.items()}
    labels = {**groups, **heads}
    axes.set_yticks(list(labels), list(labels.values()))
    axes.invert_yaxis()
