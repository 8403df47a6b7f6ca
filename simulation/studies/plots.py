"""Plots of studies as SVG: lines with intervals, which differ in marker as well as in colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dermafed.shared.storage.atomic_files import write_atomically

# Okabe and Ito 2008; black and yellow left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dermafed",  # the same study, the same file
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def panels(count: int, *, shared: bool = True) -> tuple[Figure, Sequence[Axes]]:
    """A figure with ``count`` panels side by side, which may share their y axis."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(1.2 + 3.2 * count, 3.0), layout="constrained")
        return figure, figure.subplots(1, count, sharey=shared, squeeze=False)[0]


def line(axes: Axes, number: int, label: str, points: Sequence[tuple[float, float, float | None]]) -> None:
    """Draws a line.

    Args:
        axes: the panel.
        number: number of the line, for its colour and marker.
        label: its label in the legend.
        points: x, y and half the width of y's interval, if it has one.
    """
    x, y, half = zip(*sorted(points, key=lambda point: point[0]), strict=True)
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    widths = [value or 0 for value in half]
    axes.errorbar(x, y, yerr=widths, color=colour, marker=marker, markersize=4, capsize=2, label=label)


def curve(axes: Axes, number: int, label: str, x: ArrayLike, y: ArrayLike) -> None:
    """Draws a curve of many points; its number gives its colour and dashes."""
    style, colour = DASHES[number % len(DASHES)], COLOURS[number % len(COLOURS)]
    axes.plot(x, y, color=colour, linestyle=style, label=label)


def logarithmic(axes: Axes, label: str, ticks: Sequence[float], form: str = ".0f") -> None:
    """Make the x axis logarithmic, with a label and these ticks."""
    axes.set(xscale="log", xlabel=label)
    axes.set_xticks(ticks, [format(tick, form) for tick in ticks])
    axes.minorticks_off()


def horizontal_panels(count: int, names: Sequence[str]) -> tuple[Figure, Sequence[Axes]]:
    """A figure with ``count`` panels side by side, whose shared y axis has names, from top to bottom."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.0 + 2.4 * count, 0.8 + 0.2 * len(names)), layout="constrained")
        axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
        return figure, axes


def as_svg(figure: Figure) -> bytes:
    """A figure as SVG."""
    content = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as SVG."""
    write_atomically(path, as_svg(figure))
