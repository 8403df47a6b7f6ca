"""What a hostile clinic does to the model under each rule, and whether it is noticed.

A row's name is ``DEFENCE, ATTACK``; its model is compared with that of the row ``DEFENCE, none``. The defence
is a rule, by its name, or ``none``; or says more, where the clinics' updates are in secure sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from dermafed.server.rounds.checkpoint import federated_folder
from dermafed.server.rounds.history import HistoryRow, read_history
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import cell, over_seeds

Line = dict[str, Any]

_HEAD = (
    "Defence",
    "Attack",
    "Balanced accuracy",
    "Points lost",
    "Melanoma AUC",
    "Patched called the target",
    "And without the patch",
    "Rounds noticed",
    "Seconds a round",
)


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``hostile.md`` into a study's folder."""
    lines = effects(runs)
    write_atomically(folder / "hostile.md", markdown(lines).encode())
    return lines


def effects(runs: Sequence[StudyRun]) -> list[Line]:
    """A line for each row.

    Returns:
        ``row``, ``rule``, ``attack``; the same as ``defence`` and ``figure``, as the study ``privacy`` names
        them; balanced accuracy on all test images as ``values`` by seed, ``mean``
        and ``half_width``; and as means over the seeds ``lost`` (of balanced accuracy, against the defence
        without an attack and the same seed), ``auc`` of melanoma, ``backdoor`` (the share of patched images
        of other classes that are called the target) and ``plain`` (of the same without the patch),
        ``noticed`` (the share of rounds with a note about the hostile clinic) and ``seconds`` of a round;
        ``None`` where there is no such number.
    """
    scores = {(run.row, run.settings.seed): _score(run) for run in runs}
    rows: dict[str, list[StudyRun]] = {}
    for run in runs:
        rows.setdefault(run.row, []).append(run)
    return [_line(row, own, scores) for row, own in rows.items()]


def _line(row: str, runs: Sequence[StudyRun], scores: dict[tuple[str, int], float]) -> Line:
    settings = runs[0].settings
    attack = settings.parsed_attack()
    free = f"{row.rpartition(', ')[0]}, none"
    seeds = [run.settings.seed for run in runs]
    known = [seed for seed in seeds if (free, seed) in scores]
    rounds = [read_history(federated_folder(run.folder)) for run in runs]
    return {
        "row": row,
        "rule": settings.rule,
        "attack": attack.kind if attack else "none",
        "defence": row.rpartition(", ")[0],
        "figure": f"under {attack.kind}" if attack else "under no attack",
        **over_seeds([scores[row, seed] for seed in seeds]),
        "lost": _mean([scores[free, seed] - scores[row, seed] for seed in known]),
        "auc": _mean([_melanoma_auc(run) for run in runs]),
        "backdoor": _mean([_called(run, "patched") for run in runs]),
        "plain": _mean([_called(run, "plain") for run in runs]),
        "noticed": _mean([_noticed(own, attack.clinic) for own in rounds]) if attack else None,
        "seconds": _mean([one.seconds for own in rounds for one in own]),
    }


def _score(run: StudyRun) -> float:
    return float(run.result()["federated"]["balanced_accuracy"])


def _melanoma_auc(run: StudyRun) -> float | None:
    per_class = run.result()["federated"]["test"]["per_class"]
    value = per_class.get("melanoma", {}).get("auc")
    return None if value is None else float(value)


def _called(run: StudyRun, images: str) -> float | None:
    """The share of images, ``patched`` or ``plain``, that are called the target."""
    found = run.result().get("backdoor")
    return None if found is None else float(found[images] / found["images"])


def _noticed(rounds: Sequence[HistoryRow], clinic: str) -> float:
    notes = [one.note for row in rounds for one in row.clinics if one.clinic == clinic]
    return sum(map(bool, notes)) / len(rounds)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def markdown(lines: Sequence[Line]) -> str:
    """The effects as a Markdown table."""
    formats = {
        "lost": ".3f",
        "auc": ".3f",
        "backdoor": ".2f",
        "plain": ".2f",
        "noticed": ".2f",
        "seconds": ".1f",
    }
    rows = [
        [
            line["defence"],
            line["attack"],
            cell(line),
            *("" if line[name] is None else format(line[name], digits) for name, digits in formats.items()),
        ]
        for line in lines
    ]
    return f"# Hostile clinics\n\n{markdown_table(_HEAD, rows, names=2)}"
