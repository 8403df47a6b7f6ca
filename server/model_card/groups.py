"""A model by group of patients, where its run, or the study that it belongs to, was judged so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import slug

FAIRNESS_FILE = "fairness.json"


def group_lines(run: Path) -> list[dict[str, Any]] | None:
    """The groups of a simulation's federated model; in a study the mean over the seeds of its row.

    Args:
        run: the folder of a run; in a study's ``runs/ROW/seed-N``.

    Returns:
        Lines of ``attribute``, ``group``, ``images`` and figures, each with ``value``, ``low`` and ``high``
        (``None`` without an interval), or ``None`` where it must not be told; ``None`` in all where nothing
        was judged by group.

    Raises:
        SettingsError: the judgement cannot be read.
    """
    row, runs = run.resolve().parent, run.resolve().parent.parent
    of_study, of_run = runs.parent / FAIRNESS_FILE, run / FAIRNESS_FILE
    in_study = runs.name == "runs" and of_study.is_file()
    path = of_study if in_study else of_run
    if not path.is_file():
        return None
    try:
        lines = json.loads(path.read_text("utf-8"))["lines"]
        own = [line for line in lines if line["kind"] == "group" and line["arm"] == "federated"]
        return [line for line in own if not in_study or slug(line["row"]) == row.name]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingsError(
            "The judgement by group cannot be read", where=path, remedy="Run the same command again"
        ) from error
