"""Bytes and balanced accuracy of runs whose changes of weights travel in full, and in few bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from dermafed.server.rounds.checkpoint import federated_folder, load_state
from dermafed.shared.errors import SettingsError
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.cost import MEGABYTE, TRANSFERS, counted_megabytes
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import cell, over_seeds

Line = dict[str, Any]

_HEAD = ("Row", "MB sent", "MB received", "Of the first row", "Of before", "Balanced accuracy", "Points lost")


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``compression.md`` into a study's folder."""
    lines = effects(runs)
    write_atomically(folder / "compression.md", markdown(lines).encode())
    return lines


def effects(runs: Sequence[StudyRun]) -> list[Line]:
    """A line for each row.

    Returns:
        ``row``; ``sent`` and ``received``, megabytes of all messages to and from a clinic in a round, means
        over clinics, rounds and seeds; ``of_first`` and ``of_before``, their sum as a share of the first
        row's, and of three models in full, as earlier versions sent them; balanced accuracy on all test
        images as ``values`` by seed, ``mean`` and ``half_width``; and ``lost``, the mean over the seeds of
        the first row's of its aggregation less this row's: a secure sum weighs clinics by images alone.

    Raises:
        SettingsError: a run did not count its bytes.
    """
    rows: dict[str, list[StudyRun]] = {}
    for run in runs:
        rows.setdefault(run.row, []).append(run)
    first = next(iter(rows.values()))
    alike: dict[str, list[StudyRun]] = {}
    for own in rows.values():
        alike.setdefault(own[0].settings.aggregation, own)
    return [_line(row, own, first, alike[own[0].settings.aggregation]) for row, own in rows.items()]


def _line(row: str, runs: Sequence[StudyRun], first: Sequence[StudyRun], alike: Sequence[StudyRun]) -> Line:
    sent, received = (fmean(side) for side in zip(*map(_megabytes, runs), strict=True))
    before = TRANSFERS * load_state(federated_folder(runs[0].folder)).weights.nbytes / MEGABYTE
    scores, whole = _scores(runs), _scores(alike)
    return {
        "row": row,
        "sent": sent,
        "received": received,
        "of_first": (sent + received) / fmean(sum(_megabytes(run)) for run in first),
        "of_before": (sent + received) / before,
        **over_seeds(list(scores.values())),
        "lost": fmean(whole[seed] - score for seed, score in scores.items() if seed in whole),
    }


def _megabytes(run: StudyRun) -> tuple[float, float]:
    """What a clinic is sent in a round, and what is received from it."""
    counted = counted_megabytes(run)
    if counted is None:
        where = federated_folder(run.folder)
        raise SettingsError("The run did not count its bytes", where=where, remedy='Use the engine "local"')
    return fmean(sent for sent, _ in counted), fmean(received for _, received in counted)


def _scores(runs: Sequence[StudyRun]) -> dict[int, float]:
    return {run.settings.seed: float(run.result()["federated"]["balanced_accuracy"]) for run in runs}


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    rows = [
        [
            line["row"],
            *(f"{line[name]:.2f}" for name in ("sent", "received")),
            *(f"{line[name]:.3f}" for name in ("of_first", "of_before")),
            cell(line),
            f"{100 * line['lost']:+.1f}",
        ]
        for line in lines
    ]
    return f"# Bytes, and what fewer of them cost\n\n{markdown_table(_HEAD, rows, names=1)}"
