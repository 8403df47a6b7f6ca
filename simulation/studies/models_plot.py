"""Every model's main figures with their intervals as one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from dermafed.simulation.studies.plots import COLOURS, MARKERS, as_svg, lying_panels
from dermafed.simulation.studies.resampled import ALL, MEAN

Line = Mapping[str, Any]

_PANELS = {
    (ALL, "balanced_accuracy"): "balanced accuracy, all tests",
    (ALL, "sensitivity of melanoma"): "sensitivity of melanoma",
    (ALL, "auc"): "AUC, all tests",
    (MEAN, "balanced_accuracy"): "balanced accuracy, mean over clinics",
}


def models_figure(lines: Sequence[Line]) -> bytes:
    """Draws the models from top to bottom, a panel for each figure that they have.

    Args:
        lines: as of :func:`dermafed.simulation.studies.models.figures`.

    Returns:
        SVG.
    """
    models = list(dict.fromkeys((line["row"], line["arm"]) for line in lines))
    shown = {key: [line for line in lines if (line["tests"], line["figure"]) == key] for key in _PANELS}
    shown = {key: own for key, own in shown.items() if own}
    arms = list(dict.fromkeys(arm for _, arm in models))
    names = [", ".join(model) if len(arms) > 1 else model[0] for model in models]
    figure, axes = lying_panels(len(shown), names)
    for panel, (key, own) in zip(axes, shown.items(), strict=True):
        for line in own:
            _draw(panel, models.index((line["row"], line["arm"])), arms.index(line["arm"]), line)
        panel.set_xlabel(_PANELS[key])
    return as_svg(figure)


def _draw(axes: Axes, place: int, arm: int, line: Line) -> None:
    colour = COLOURS[arm % len(COLOURS)]
    axes.plot(line["mean"], place, MARKERS[arm % len(MARKERS)], color=colour, markersize=4)
    if line["low"] is not None:
        axes.hlines(place, line["low"], line["high"], color=colour)
