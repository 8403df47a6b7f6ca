"""The groups' figures with their intervals as one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dermafed.shared.metrics.fairness.group_metrics import FIGURES
from dermafed.simulation.studies.fairness_tables import NAMES
from dermafed.simulation.studies.plots import as_svg

Line = Mapping[str, Any]

_COLOURS = {"federated": "#4477aa", "pooled": "#ee6677", "own": "#228833"}  # Paul Tol's: for the colour-blind
_MARKERS = {"federated": "o", "pooled": "s", "own": "^"}
_STYLE: Any = {"font.size": 9}


def group_figure(lines: Sequence[Line], row: str) -> bytes:
    """Draws a row's models by group; a group of whom nothing may be told has no mark.

    Args:
        lines: of groups.
        row: the study's row to draw.

    Returns:
        SVG.
    """
    drawn = [line for line in lines if line["row"] == row]
    places = _places(drawn)
    with mpl.rc_context(_STYLE):
        height = 1.2 + 0.22 * (max(places.values(), default=0) + 1)
        drawing = Figure(figsize=(9.0, height), layout="constrained")
        panels = drawing.subplots(1, len(FIGURES), sharey=True)
        for axes, figure in zip(panels, FIGURES, strict=True):
            _draw(axes, drawn, figure, places)
        _label(panels[0], places)
        drawing.legend(
            *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
        )
    return as_svg(drawing)


def _places(lines: Sequence[Line]) -> dict[tuple[str, str], float]:
    """From top to bottom, with a gap between the attributes."""
    keys = list(dict.fromkeys((line["attribute"], line["group"]) for line in lines))
    attributes = list(dict.fromkeys(attribute for attribute, _ in keys))
    return {key: place + 1.2 * attributes.index(key[0]) for place, key in enumerate(keys)}


def _draw(axes: Axes, lines: Sequence[Line], figure: str, places: Mapping[tuple[str, str], float]) -> None:
    arms = list(dict.fromkeys(line["arm"] for line in lines))
    for number, arm in enumerate(arms):
        told = [line for line in lines if line["arm"] == arm and line[figure] is not None]
        shift = 0.25 * (number - (len(arms) - 1) / 2)
        values = [line[figure]["value"] for line in told]
        heights = [places[line["attribute"], line["group"]] + shift for line in told]
        ends = [
            (line[figure]["low"], line[figure]["high"], height)
            for line, height in zip(told, heights, strict=True)
            if line[figure]["low"] is not None
        ]
        lows, highs, at = zip(*ends, strict=True) if ends else ((), (), ())
        axes.hlines(at, lows, highs, color=_COLOURS[arm], linewidth=1.2)
        axes.plot(values, heights, _MARKERS[arm], color=_COLOURS[arm], markersize=4, label=arm)
    axes.set_xlabel(NAMES[figure])
    axes.set_xlim(0, 1 if figure != "calibration_error" else None)
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
