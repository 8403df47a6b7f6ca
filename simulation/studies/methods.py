"""The methods of the paper's Table 1, as far as they exist here, on the same models and the same images.

All explain one network, so the table is of explanations: what the network itself scores is the study's own
table. A blob in the middle of the image, which never looks at it, stands beside them: lesions lie in the
middle of photographs, and a method that does not beat the blob has found nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermafed.shared.process import cores
from dermafed.shared.storage.atomic_files import write_atomically, write_json
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.plots import COLOURS, MARKERS, as_svg, lying_panels
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import as_csv, cell, over_seeds

METHODS_FILE = "methods.json"
IMAGES = 50
NOT_BUILT = "not built yet"

FIGURES = {
    "deletion": "Deletion ↓",
    "insertion": "Insertion ↑",
    "stability_noise": "Stable under noise ↑",
    "pointing_gain": "Pointing above chance ↑",
    "box_overlap": "Box overlap ↑",
    "pixel_precision": "Pixel precision ↑",
}

BLOB = "centre"
ITSELF, LESS_BLOB = "itself", "less the blob"

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of Table 1.

    Attributes:
        work: whose.
        idea: what they do.
        figures: what that work is about, of :data:`FIGURES`.
        methods: what stands for it here, by name; none where nothing does yet.
    """

    work: str
    idea: str
    figures: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


TABLE_1 = (
    Entry("Mahmud et al. 2023", "CNN and CAM", ("deletion", "insertion", "pointing_gain"), ("cam",)),
    Entry(
        "Rahimiaghdam 2023",
        "several explainers, their quality and stability",
        ("deletion", "insertion", "stability_noise", "pointing_gain"),
        ("gradcam", "gradcam++", "gradient-weighted", "scorecam"),
    ),
    Entry("Livieris et al. 2023", "Siamese similarity and Grad-CAM"),
    Entry(
        "Aasem et al. 2022", "localisation", ("pointing_gain", "box_overlap"), ("cam", "gradcam", "scorecam")
    ),
    Entry("Bianchini", "explanation of single pixels"),
    Entry("this system", "Score-CAM", tuple(FIGURES), ("scorecam",)),
    Entry("control", "a blob in the middle", tuple(FIGURES), (BLOB,)),
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
    write_atomically(folder / "methods.svg", methods_figure(less_blob, FIGURES))
    return lines


def measure(run: StudyRun) -> None:
    """Keeps the scores of Table 1's methods in a run's folder; for a process of its own."""
    from dermafed.simulation.studies.method_scores import method_scores

    used = dict.fromkeys(name for entry in TABLE_1 for name in entry.methods)
    write_json(run.folder / METHODS_FILE, method_scores(run, used, IMAGES))


def _lines(runs: Sequence[StudyRun]) -> Iterator[Line]:
    """Lines for each of the study's rows, entry of Table 1, method and figure; one for what is not built."""
    for row in dict.fromkeys(run.row for run in runs):
        files = [run.folder / METHODS_FILE for run in runs if run.row == row]
        seeds = [json.loads(path.read_text("utf-8")) for path in files]
        for entry in TABLE_1:
            about = {"row": row, "work": entry.work, "idea": entry.idea}
            if not entry.methods:
                nothing: Line = {"figure": None, "measured": ITSELF, "values": []}
                yield {**about, "method": NOT_BUILT, **nothing, "mean": None, "half_width": None}
            for method, figure in ((method, figure) for method in entry.methods for figure in entry.figures):
                named = {**about, "method": method, "figure": figure}
                for measured, values in _measured(seeds, method, figure).items():
                    yield {**named, "measured": measured, **over_seeds(values)}


def _measured(seeds: Sequence[Any], method: str, figure: str) -> dict[str, list[float]]:
    """A figure of each seed, and how far it is from the blob's: the models differ more than the methods."""
    own = [seed for seed in seeds if figure in seed[method]]
    found = {ITSELF: [seed[method][figure] for seed in own]}
    if method != BLOB:
        found[LESS_BLOB] = [seed[method][figure] - seed[BLOB][figure] for seed in own]
    return {measured: values for measured, values in found.items() if values}


def markdown(lines: Sequence[Line]) -> str:
    """For each of the study's rows a table of the figures, and one of what the blob leaves of them."""
    rows = dict.fromkeys(line["row"] for line in lines)
    return "\n".join(
        f"## {row}, {measured}\n\n{_table(own)}"
        for row in rows
        for measured in (ITSELF, LESS_BLOB)
        if (own := [line for line in lines if (line["row"], line["measured"]) == (row, measured)])
    )


def _table(lines: Sequence[Line]) -> str:
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for line in lines:
        own = cells.setdefault((line["work"], line["idea"], line["method"]), {})
        if line["figure"]:
            own[line["figure"]] = cell(line)
    head = ["Work", "Idea", "Here", *FIGURES.values()]
    body = [[*names, *(own.get(figure, "") for figure in FIGURES)] for names, own in cells.items()]
    return markdown_table(head, body, names=3)


def methods_figure(lines: Sequence[Line], figures: Mapping[str, str]) -> bytes:
    """Draws the methods that exist from top to bottom.

    Args:
        lines: of :func:`analyse`, those less the blob; works may share a method.
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
