"""The gain of a clinic that joins a federation, by the number of its training images.

A run of one clinic is that clinic alone; so are the clinics' own models of a run with baselines. All are
tested on the clinic's own test images, which do not depend on the number of training images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.plots import line, logarithmic, panels, save
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import cell, over_seeds

JOINED, ALONE = "joined", "alone"

Line = dict[str, Any]


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``learning-curve.md`` and ``.svg`` into a study's folder."""
    lines = curves(runs)
    if lines:
        write_atomically(folder / "learning-curve.md", markdown(lines).encode())
        draw(lines, folder / "learning-curve.svg")
    return lines


def curves(runs: Iterable[StudyRun]) -> list[Line]:
    """The points of every clinic whose number of training images differs between the runs.

    Returns:
        A line for each row, clinic and way of training, in order of clinics and images: ``clinic``,
        ``trained``, ``row``, ``images`` (for training, mean over the seeds), balanced accuracy on the
        clinic's own test as ``values`` by seed, ``mean`` and ``half_width`` (``None`` for one seed).
    """
    found: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for run in runs:
        for clinic, trained, images, value in _points(run):
            found.setdefault((clinic, trained, run.row), []).append((images, value))
    sizes: dict[str, set[int]] = {}
    for (clinic, _, _), points in found.items():
        sizes.setdefault(clinic, set()).update(images for images, _ in points)
    lines: list[Line] = [
        {"clinic": clinic, "trained": trained, "row": row, "images": fmean(images for images, _ in points)}
        | over_seeds([value for _, value in points])
        for (clinic, trained, row), points in found.items()
        if len(sizes[clinic]) > 1
    ]
    return sorted(lines, key=lambda line: (line["clinic"], line["images"], line["trained"]))


def _points(run: StudyRun) -> Iterator[tuple[str, str, int, float]]:
    """Clinic, way of training, training images and balanced accuracy on the clinic's test, of every model."""
    result = run.result()
    alone = len(result["clinics"]) == 1
    steps = "" if run.settings.steps is None else f", {run.settings.steps} steps a round"
    models = [(ALONE if alone else JOINED, result["federated"])]
    if result["local"] and not alone:
        models.append((ALONE, result["local"]))
    for clinic in result["clinics"]:
        for trained, metrics in models:
            value = metrics["clinics"][clinic["name"]]["balanced_accuracy"]
            yield clinic["name"], trained + steps, clinic["splits"]["train"], value


def markdown(lines: Sequence[Line]) -> str:
    """The points of :func:`curves` as a Markdown table."""
    rows = [[line["clinic"], line["trained"], f"{line['images']:.0f}", cell(line)] for line in lines]
    table = markdown_table(["Clinic", "Trained", "Training images", "Balanced accuracy"], rows, names=2)
    return f"# What a clinic gains by joining, on its own test\n\n{table}"


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draws a panel for each clinic, a line for each way of training."""
    clinics = sorted({line["clinic"] for line in lines})
    ways = sorted({line["trained"] for line in lines}, key=lambda way: (not way.startswith(JOINED), way))
    figure, axes = panels(len(clinics))
    for panel, clinic in zip(axes, clinics, strict=True):
        for number, way in enumerate(ways):
            own = [point for point in lines if (point["clinic"], point["trained"]) == (clinic, way)]
            if own:
                line(panel, number, way, [(p["images"], p["mean"], p["half_width"]) for p in own])
        panel.set_title(clinic)
        sizes = {round(point["images"]) for point in lines if point["clinic"] == clinic}
        logarithmic(panel, "training images of the clinic", sorted(sizes))
    axes[0].set_ylabel("balanced accuracy, own test")
    axes[0].legend(frameon=False)
    save(figure, path)
