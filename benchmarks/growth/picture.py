"""The curves as a picture: seconds over size, both logarithmic, beside a line that is linear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.curves import NAMES, curve
from dermafed.simulation.studies.plots import COLOURS, line, panels, save


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each curve that has points.

    Args:
        points: lines with ``curve``, ``part``, ``size`` and ``seconds``.
        path: the SVG file.
    """
    names = [name for name in NAMES if any(point["curve"] == name for point in points)]
    figure, axes = panels(len(names), shared=False)
    for panel, name in zip(axes, names, strict=True):
        own = [point for point in points if point["curve"] == name]
        for number, part in enumerate(dict.fromkeys(point["part"] for point in own)):
            of_part = [(one["size"], one["seconds"], None) for one in own if one["part"] == part]
            line(panel, number, part, of_part)
        largest = max(one["size"] for one in own)
        top = max(one["seconds"] for one in own if one["size"] == largest)
        start = largest / 10
        panel.plot(
            [start, largest], [top / 10 * 3, top * 3], color=COLOURS[-1], linestyle=":", label="linear"
        )
        panel.set(xscale="log", yscale="log", xlabel=curve(name).VARIABLE, ylabel="CPU seconds")
        panel.legend(fontsize=5, frameon=False)
    save(figure, path)
