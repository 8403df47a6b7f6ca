"""What can be found out from a study's finished runs, by the name that its file asks with.

Each is a module with a function ``analyse(runs, folder)``: it reads the runs' folders, writes its tables and
figures into the study's folder, and returns its lines as JSON types. It trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermafed.simulation.studies.study_runs import StudyRun

ANALYSES = {
    "budget": "dermafed.simulation.studies.budget",
    "fairness": "dermafed.simulation.studies.fairness",
    "cost": "dermafed.simulation.studies.cost",
    "learning-curve": "dermafed.simulation.studies.learning_curve",
    "methods": "dermafed.simulation.studies.methods",
    "models": "dermafed.simulation.studies.models",
    "pairs": "dermafed.simulation.studies.pairs",
}


def analyse(name: str, runs: Sequence[StudyRun], folder: Path) -> list[dict[str, Any]]:
    """Calls one of :data:`ANALYSES`.

    Args:
        name: of the judgement.
        runs: finished.
        folder: of the study.

    Returns:
        Its lines.
    """
    # Imported now, so that reading a study's file is quick.
    lines: list[dict[str, Any]] = import_module(ANALYSES[name]).analyse(runs, folder)
    return lines
