"""Compares the methods of the paper's Table 1 that exist here, on the same models and the same images.

All methods explain one network, so these are metrics of explanations; the network's own metrics are in the
study's table. The controls do not look at the image: a blob in the middle, of the best width, the mean mask
of training images, and each method's map of another image. Lesions lie in the middle of photographs, so a
method that is not better than these has found nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermafed.shared.process import cores
from dermafed.shared.storage.atomic_files import write_atomically, write_json
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.method_names import BLOB, CONTROLS, FINDER, MEAN_MASK, OF_ANOTHER_IMAGE
from dermafed.simulation.studies.plots import COLOURS, MARKERS, as_svg, horizontal_panels
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import as_csv, cell, over_seeds

METHODS_FILE = "method_scores.json"
IMAGES = 50
NO_MAP = "no map here"

WHERE = {
    "pixel_precision": "Pixel precision ↑",
    "off_centre_precision": "Off-centre precision ↑",
    "pointing": "Energy in the lesion ↑",
    "box_overlap": "Box overlap ↑",
}
"""Whether the map finds the lesion; another image's map is measured by these too."""

PERTURBED = {
    "lesion_deletion_colour": "Lesion deletion, colour ↑",
    "lesion_deletion_blur": "Lesion deletion, blur ↑",
    "lesion_deletion_skin": "Lesion deletion, skin ↑",
    "stability_noise": "Stable under noise ↑",
    "deletion": "Deletion ↓",
    "insertion": "Insertion ↑",
}
"""What a change of the image does."""

DEPENDENCE = {
    "class_correlation": "Maps of two classes ↓",
    "contrast_correlation": "Map of a contrast ↓",
    "randomised": "Weights shuffled ↓",
    "randomised_in_lesion": "Weights shuffled, in the lesion ↓",
    "chance_in_lesion": "Chance of this",
}
"""What the map does not depend on: correlations that are 1 for a map that never changes."""

COMPARED = WHERE | PERTURBED
"""The metrics by which a method may be compared with the blob."""

PLOTTED = ("pixel_precision", "off_centre_precision", "lesion_deletion_skin", "stability_noise", "insertion")

METRICS = WHERE | {"pointing_chance": "Lesion's share of the image"} | PERTURBED | DEPENDENCE

ITSELF, LESS_BLOB, ANOTHER = "itself", "less the blob", OF_ANOTHER_IMAGE

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of Table 1.

    Attributes:
        work: the authors.
        idea: their idea.
        metrics: the metrics that the idea is about, of :data:`METRICS`.
        methods: names of the methods that represent it here; empty where none does.
    """

    work: str
    idea: str
    metrics: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


_LOCATED = (*WHERE, "pointing_chance")

TABLE_1 = (
    Entry("Mahmud et al. 2023", "CNN and CAM", (*_LOCATED, *PERTURBED), ("cam",)),
    Entry(
        "Rahimiaghdam 2023",
        "several explainers, their quality and stability",
        tuple(METRICS),
        ("gradcam", "gradcam++", "gradient-weighted", "scorecam", "evidence"),
    ),
    Entry("Livieris et al. 2023", "Siamese similarity and Grad-CAM"),
    Entry("Aasem et al. 2022", "localisation", _LOCATED, ("cam", "gradcam", "scorecam")),
    Entry("Bianchini", "explanation of single pixels", _LOCATED, (FINDER,)),
    Entry("this system", "Score-CAM, additive evidence", tuple(METRICS), ("scorecam", "evidence")),
    Entry("control", "maps that do not look at the image", tuple(METRICS), (BLOB, MEAN_MASK)),
)


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Measures the methods on every run's model, and writes ``methods.csv``, ``.md`` and ``.svg``."""
    own = [run for run in runs if (run.folder / "model.keras").exists()]
    waiting = [run for run in own if not (run.folder / METHODS_FILE).exists()]
    for _ in run_in_processes(measure, waiting, processes=cores()):
        pass
    lines = list(_lines(own))
    write_atomically(folder / "methods.csv", as_csv(lines).encode())
    write_atomically(folder / "methods.md", markdown(lines).encode())
    less_blob = [line for line in lines if line["measured"] == LESS_BLOB]
    write_atomically(folder / "methods.svg", methods_plot(less_blob))
    return lines


def measure(run: StudyRun) -> None:
    """Writes the scores of Table 1's methods into a run's folder; for a process of its own."""
    from dermafed.simulation.studies.method_scores import method_scores

    own = {*CONTROLS, FINDER}
    used = dict.fromkeys(name for entry in TABLE_1 for name in entry.methods if name not in own)
    write_json(run.folder / METHODS_FILE, method_scores(run, used, IMAGES))


def _lines(runs: Sequence[StudyRun]) -> Iterator[Line]:
    """Lines for each row, entry of Table 1, method and metric; one for an entry without methods."""
    for row in dict.fromkeys(run.row for run in runs):
        files = [run.folder / METHODS_FILE for run in runs if run.row == row]
        seeds = [json.loads(path.read_text("utf-8")) for path in files]
        for entry in TABLE_1:
            about = {"row": row, "work": entry.work, "idea": entry.idea}
            methods = [name for name in entry.methods if any(name in scores for scores in seeds)]
            if not methods:
                nothing: Line = {"figure": None, "measured": ITSELF, "values": []}
                yield {**about, "method": NO_MAP, **nothing, "mean": None, "half_width": None}
            for method, metric in ((method, metric) for method in methods for metric in entry.metrics):
                named = {**about, "method": method, "figure": metric}
                for measured, values in _measured(seeds, method, metric).items():
                    yield {**named, "measured": measured, **over_seeds(values)}


def _measured(seeds: Sequence[Any], method: str, metric: str) -> dict[str, list[float]]:
    """A metric of each seed; its difference to the blob's, since the models differ more than the methods; and
    that of another image's map."""
    own = _values(seeds, method, metric)
    found = {ITSELF: list(own.values())}
    if method not in CONTROLS:
        blob = _values(seeds, BLOB, metric) if metric in COMPARED else {}
        found[LESS_BLOB] = [own[seed] - blob[seed] for seed in own if seed in blob]
        found[ANOTHER] = list(_values(seeds, f"{method} {OF_ANOTHER_IMAGE}", metric).values())
    return {measured: values for measured, values in found.items() if values}


def _values(seeds: Sequence[Any], method: str, metric: str) -> dict[int, float]:
    """A metric of the seeds that have it: without masks there is no lesion to find, and no control."""
    scores = [seed.get(method, {}) for seed in seeds]
    return {at: own[metric] for at, own in enumerate(scores) if metric in own}


def markdown(lines: Sequence[Line]) -> str:
    """For each row of the study a table of the metrics, of their differences to the blob's, and of another
    image's maps."""
    rows = dict.fromkeys(line["row"] for line in lines)
    return "\n".join(
        f"## {row}, {measured}\n\n{_table(own)}"
        for row in rows
        for measured in (ITSELF, LESS_BLOB, ANOTHER)
        if (own := [line for line in lines if (line["row"], line["measured"]) == (row, measured)])
    )


def _table(lines: Sequence[Line]) -> str:
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for line in lines:
        own = cells.setdefault((line["work"], line["idea"], line["method"]), {})
        if line["figure"]:
            own[line["figure"]] = cell(line)
    shown = [metric for metric in METRICS if any(metric in own for own in cells.values())]
    head = ["Work", "Idea", "Here", *(METRICS[metric] for metric in shown)]
    body = [[*names, *(own.get(metric, "") for metric in shown)] for names, own in cells.items()]
    return markdown_table(head, body, names=3)


def methods_plot(lines: Sequence[Line]) -> bytes:
    """Draws the methods from top to bottom, a panel for each metric of :data:`PLOTTED` that has lines.

    Args:
        lines: the lines of :func:`analyse` that are less the blob; works may share a method.

    Returns:
        SVG.
    """
    points = {(line["figure"], line["method"], line["row"]): line for line in lines}
    metrics = {name: METRICS[name] for name in PLOTTED if any(name == of for of, _, _ in points)}
    methods = list(dict.fromkeys(method for _, method, _ in points))
    rows = list(dict.fromkeys(row for _, _, row in points))
    figure, axes = horizontal_panels(len(metrics), methods)
    for panel, (metric, name) in zip(axes, metrics.items(), strict=True):
        panel.set_xlabel(name)
        panel.axvline(0, color="0.5", linewidth=1)
        for (of, method, row), line in points.items():
            if of == metric:
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
                    if (metric, method) == (next(iter(metrics)), methods[0])
                    else None,
                )
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return as_svg(figure)
