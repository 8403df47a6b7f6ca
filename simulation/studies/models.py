"""Every model's metrics, with intervals over other images and other trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dermafed.shared.metrics.intervals import BOOTSTRAP, percentile_interval
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.plots import COLOURS, MARKERS, as_svg, horizontal_panels
from dermafed.simulation.studies.resampled_metrics import (
    ALL,
    FEWEST_LESIONS,
    MEAN,
    RESAMPLES,
    ModelResamples,
    over_images_and_seeds,
    resampled_models,
)
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import as_csv
from dermafed.simulation.studies.summary import markdown as table

Line = dict[str, Any]

_PANELS = {
    (ALL, "balanced_accuracy"): "balanced accuracy, all tests",
    (ALL, "sensitivity of melanoma"): "sensitivity of melanoma",
    (ALL, "auc"): "AUC, all tests",
    (MEAN, "balanced_accuracy"): "balanced accuracy, mean over clinics",
}


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``models.csv``, ``models.md`` and ``models.svg`` into a study's folder."""
    lines = model_metrics(runs)
    write_atomically(folder / "models.svg", models_plot(lines))
    write_atomically(folder / "models.csv", as_csv(lines).encode())
    write_atomically(folder / "models.md", markdown(lines).encode())
    return lines


def model_metrics(runs: Sequence[StudyRun], *, resamples: int = RESAMPLES) -> list[Line]:
    """Every metric of every model on each clinic's test images, on all, and as the mean over the clinics.

    Args:
        runs: the finished runs.
        resamples: number of resamples of the bootstrap.

    Returns:
        A line for each: ``row``, ``arm``, ``tests``, ``figure``, ``seeds`` (their number), ``mean`` over the
        seeds, ``low`` and ``high`` (95 %; of one seed, over other images only; ``None`` where there are too
        few lesions), ``fewest`` (lesions of the rarest class at a clinic), ``values`` by seed.
    """
    models = resampled_models(tuple(runs), resamples)
    return [
        {"row": row, "arm": arm} | line for (row, arm), by_seed in models.items() for line in _lines(by_seed)
    ]


def _lines(by_seed: Mapping[int, ModelResamples]) -> Iterator[Line]:
    first, *others = (model.values for model in by_seed.values())
    for tests, metric in first:
        if all((tests, metric) in values for values in others):
            values = np.stack([model.values[tests, metric] for model in by_seed.values()])
            fewest = by_seed[min(by_seed)].fewest[tests]
            drawn = over_images_and_seeds(values).clip(0, 1)
            interval = percentile_interval(drawn, BOOTSTRAP) if fewest >= FEWEST_LESIONS else None
            yield {
                "tests": tests,
                "figure": metric,
                "seeds": len(by_seed),
                "mean": float(values[:, 0].mean()),
                "low": None if interval is None else interval.low,
                "high": None if interval is None else interval.high,
                "fewest": fewest,
                "values": values[:, 0].tolist(),
            }


def markdown(lines: Sequence[Line]) -> str:
    """The metrics as Markdown, a table for all images and one for the mean over clinics."""
    text = ["# Models: mean over the seeds, 95 % over images and trainings; of one seed, over images only"]
    for tests in (ALL, MEAN):
        own = [line for line in lines if line["tests"] == tests]
        if own:
            fewest = min(line["fewest"] for line in own)
            text.append(
                f"On {tests} (rarest class of a test: {fewest} lesions):\n\n{table(own, tests=tests)}"
            )
    return "\n\n".join(text)


def models_plot(lines: Sequence[Line], panels: Mapping[tuple[str, str], str] = _PANELS) -> bytes:
    """Draws the models from top to bottom, a panel for each metric that they have.

    Args:
        lines: the lines of :func:`model_metrics`.
        panels: the labels of the metrics to draw, by ``tests`` and ``figure``.

    Returns:
        SVG.
    """
    models = list(dict.fromkeys((line["row"], line["arm"]) for line in lines))
    shown = {key: [line for line in lines if (line["tests"], line["figure"]) == key] for key in panels}
    shown = {key: own for key, own in shown.items() if own}
    arms = list(dict.fromkeys(arm for _, arm in models))
    names = [", ".join(model) if len(arms) > 1 else model[0] for model in models]
    figure, axes = horizontal_panels(len(shown), names)
    for panel, (key, own) in zip(axes, shown.items(), strict=True):
        for line in own:
            _draw(panel, models.index((line["row"], line["arm"])), arms.index(line["arm"]), line)
        panel.set_xlabel(panels[key])
    return as_svg(figure)


def _draw(axes: Axes, place: int, arm: int, line: Line) -> None:
    colour = COLOURS[arm % len(COLOURS)]
    axes.plot(line["mean"], place, MARKERS[arm % len(MARKERS)], color=colour, markersize=4)
    if line["low"] is not None:
        axes.hlines(place, line["low"], line["high"], color=colour)
