"""A model by group of patients, where the study that its run belongs to was judged so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.errors import SettingsError
from shared.names import slug

FAIRNESS_FILE = "fairness.json"


def group_lines(run: Path) -> list[dict[str, Any]] | None:
    """The groups of a simulation's federated models: means over the seeds of its row in the study.

    Args:
        run: the folder of a run, ``runs/ROW/seed-N`` in a study's.

    Returns:
        Lines of ``attribute``, ``group``, ``images`` and figures, each with ``value``, ``low`` and ``high``,
        or ``None`` where it must not be told; ``None`` in all where the study was not judged by group.

    Raises:
        SettingsError: the study's judgement cannot be read.
    """
    row, runs = run.resolve().parent, run.resolve().parent.parent
    path = runs.parent / FAIRNESS_FILE
    if runs.name != "runs" or not path.is_file():
        return None
    try:
        lines = json.loads(path.read_text("utf-8"))["lines"]
        own = [line for line in lines if line["kind"] == "group" and line["arm"] == "federated"]
        return [line for line in own if slug(line["row"]) == row.name]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingsError(
            "The study's judgement by group cannot be read", where=path, remedy="Run the study again"
        ) from error
