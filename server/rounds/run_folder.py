"""What the folder of a run holds: its rounds, and the models that were kept."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dermafed.server.rounds.checkpoint import has_state, load_state
from dermafed.server.rounds.history import HISTORY_FILE, HistoryRow, best_round
from dermafed.shared.errors import SettingsError

_KINDS = {"round": int, "replied": int, "left_out": str}


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A checkpoint.

    Attributes:
        path: the file.
        round: the round it ends; 0 is the start.
        size: bytes.
        roles: ``start``, ``last`` and ``best`` (on validation, by balanced accuracy), as they apply.
    """

    path: Path
    round: int
    size: int
    roles: tuple[str, ...]


def federation_folder(run: Path) -> Path:
    """The federation's folder of a ``fl-simulate`` run, or the folder itself if it is one.

    Raises:
        SettingsError: it is neither.
    """
    for folder in (run / "arms" / "federated", run):
        if (folder / HISTORY_FILE).is_file() and has_state(folder):
            return folder
    raise SettingsError(
        "There is no federated run",
        where=run,
        remedy="Give the --out folder of fl-simulate, or one of its arms",
    )


def read_history(folder: Path) -> list[HistoryRow]:
    """Reads ``history.csv``; figures that were undefined are NaN.

    Raises:
        SettingsError: the file is missing or not a run's history; names the row.
    """
    path, rows = folder / HISTORY_FILE, []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for cells in csv.DictReader(file, strict=True):
                rows.append(_row(cells))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SettingsError(
            "This is not the history of a run",
            where=f"{path}, row {len(rows) + 2}",
            remedy="Resume the run to write it anew",
        ) from error
    return rows


def row_values(row: HistoryRow) -> dict[str, Any]:
    """A round as JSON types; figures that were undefined are ``None``."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(row).items()
    }


def kept_models(folder: Path) -> list[KeptModel]:
    """The checkpoints of a federation, in order of their rounds.

    Raises:
        FederationError: none of them can be read.
    """
    state = load_state(folder)
    special = {0: ["start"]}
    special.setdefault(state.round, []).append("last")
    special.setdefault(best_round(state.history), []).append("best")
    return [
        KeptModel(path, number, path.stat().st_size, tuple(special.get(number, ())))
        for path in sorted(folder.glob("round-*.npz"))
        if (number := int(path.stem.removeprefix("round-"))) <= state.round
    ]


def _row(cells: dict[str, str]) -> HistoryRow:
    values: dict[str, Any] = {
        field.name: _KINDS.get(field.name, float)(cells[field.name]) for field in fields(HistoryRow)
    }
    return HistoryRow(**values)
