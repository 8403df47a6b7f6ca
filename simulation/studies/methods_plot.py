"""Table 1's methods less the blob in the middle: a panel a figure, a marker for each of the study's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dermafed.simulation.studies.plots import COLOURS, MARKERS, as_svg, lying_panels

Line = Mapping[str, Any]


def methods_figure(lines: Sequence[Line], figures: Mapping[str, str]) -> bytes:
    """Draws the methods that exist from top to bottom.

    Args:
        lines: of :func:`judge`, those less the blob; works may share a method.
        figures: what is drawn, with its heading.

    Returns:
        SVG.
    """
    points = {(line["figure"], line["method"], line["row"]): line for line in lines if line["figure"]}
    methods = list(dict.fromkeys(method for _, method, _ in points))
    rows = list(dict.fromkeys(row for _, _, row in points))
    drawing, axes = lying_panels(len(figures), methods)
    for panel, (figure, name) in zip(axes, figures.items(), strict=True):
        panel.set_xlabel(name)
        panel.axvline(0, color="0.5", linewidth=1)
        for (of, method, row), line in points.items():
            if of == figure:
                number = rows.index(row)
                panel.errorbar(
                    line["mean"],
                    methods.index(method) + 0.2 * (number - (len(rows) - 1) / 2),
                    xerr=line["half_width"],
                    color=COLOURS[number % len(COLOURS)],
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=4,
                    linestyle="",
                    label=f"{row}, less the blob"
                    if (figure, method) == (next(iter(figures)), methods[0])
                    else None,
                )
    drawing.legend(loc="outside upper center", ncols=3, frameon=False)
    return as_svg(drawing)
