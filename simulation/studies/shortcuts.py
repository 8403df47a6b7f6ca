"""How many answers artefacts change, by the row of a study whose runs were audited (``audit_model``).

The audit is of all clinics' test lesions together. Every seed has another model; with one ``split_seed`` all
seeds have the same test lesions, so their counts are not added up: the share is the mean over the seeds, and
its interval reaches from the least lower to the greatest upper limit of the seeds' exact intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dermafed.shared.artefacts.artefacts import CHANGES
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import cell, over_seeds

Line = dict[str, Any]

FIGURES = {
    "to_melanoma": "Benign to melanoma",
    "to_benign": "Melanoma to benign",
    "change": "Change of the log-odds",
    "auc": "AUC of melanoma",
}
NONE = "none"
"""The artefact of the lines of images as they are."""

_OF_IMAGES = {"auc": "AUC of melanoma", "balanced_accuracy": "Balanced accuracy"}


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``shortcuts.md`` into a study's folder."""
    lines = shortcut_lines(runs)
    write_atomically(folder / "shortcuts.md", markdown(lines).encode())
    return lines


def shortcut_lines(runs: Iterable[StudyRun]) -> list[Line]:
    """A line for each row, artefact and figure; runs without an audit have none.

    Returns:
        ``row``, ``artefact`` (``none`` for the images as they are), ``figure`` (:data:`FIGURES`, or
        ``balanced_accuracy``), ``values`` by seed, ``mean``, ``half_width``; with intervals of each seed also
        ``low`` and ``high``.
    """
    found: dict[tuple[str, str, str], list[Line]] = {}
    for run in runs:
        for artefact, figure, value in _figures(run.result()):
            found.setdefault((run.row, artefact, figure), []).append(value)
    names = ("row", "artefact", "figure")
    return [dict(zip(names, key, strict=True)) | _over_seeds(values) for key, values in found.items()]


def _figures(result: dict[str, Any]) -> Iterator[tuple[str, str, Line]]:
    """Artefact, figure, and its ``value`` with its ``interval``, if there is one."""
    together = (result.get("audit") or {}).get("all")
    if together is None:
        return
    yield NONE, "balanced_accuracy", _value(result["federated"]["balanced_accuracy"], None)
    if together["auc"] is not None:
        yield NONE, "auc", _value(together["auc"], None)
    for artefact, effect in together["effects"].items():
        for figure in ("to_melanoma", "to_benign"):
            if flips := effect[figure]:
                yield artefact, figure, _value(flips["flipped"] / flips["lesions"], flips["interval"])
        if change := effect["change"]:
            yield artefact, "change", _value(change["mean"], change["interval"])
        if auc := effect["auc"]:
            yield artefact, "auc", _value(auc["after"], auc["after_interval"])


def _value(value: float, interval: Line | None) -> Line:
    return {"value": value, "interval": interval}


def _over_seeds(found: Sequence[Line]) -> Line:
    line = over_seeds([one["value"] for one in found])
    intervals = [one["interval"] for one in found if one["interval"] is not None]
    if len(intervals) < len(found):
        return line
    low, high = min(own["low"] for own in intervals), max(own["high"] for own in intervals)
    return line | {"low": low, "high": high}


def markdown(lines: Sequence[Line]) -> str:
    """The lines as two Markdown tables: of artefacts, and of the images as they are."""
    by = {(line["row"], line["artefact"], line["figure"]): cell(line) for line in lines}
    rows = list(dict.fromkeys(line["row"] for line in lines))
    with_artefacts = [
        [row, change.title, *(by.get((row, name, figure), "") for figure in FIGURES)]
        for row in rows
        for name, change in CHANGES.items()
    ]
    as_they_are = [[row, *(by.get((row, NONE, figure), "") for figure in _OF_IMAGES)] for row in rows]
    first = markdown_table(["Row", "Artefact", *FIGURES.values()], with_artefacts, names=2)
    return f"# Shortcuts\n\n{first}\n{markdown_table(['Row', *_OF_IMAGES.values()], as_they_are, names=1)}"
