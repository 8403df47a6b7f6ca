"""The history of a run, one row for each round, and ``history.csv``."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.shared.errors import SettingsError
from dermafed.shared.storage.atomic_files import append, csv_text, write_atomically

HISTORY_FILE = "history.csv"
_LATER = "rolled_back"  # earlier versions wrote it only in runs with such a round
_TYPES = {"round": int, "replied": int, "left_out": str, _LATER: str}
_LONGEST_CELL = 2**31 - 1  # Python's own limit is shorter than the cell of some 600 clinics
_LIMIT = Lock()  # held while Python's own is set aside


@dataclass(frozen=True)
class HistoryRow:
    """One round.

    Attributes:
        round: its number, from 1.
        train_loss: mean of the clinics' training losses, weighted as their models; NaN if none was reported.
        validation_loss: mean cross-entropy over all clinics' validation images, in nats.
        validation_accuracy: over all clinics' validation images.
        validation_balanced_accuracy: mean recall over the classes, over all clinics' validation images.
        validation_auc: mean one-against-rest AUC; NaN where only one class has images.
        replied: number of clinics whose update was accepted.
        left_out: the other clinics, each with the reason, as one text; empty where all took part.
        seconds: duration of the round, up to writing its state.
        overhead_seconds: part of it during which no clinic was training or evaluating.
        clinics: each clinic's part in the round, by name; version 0.1.0 recorded none.
        rolled_back: why the model of the round before was kept; empty where it was not. The metrics are those
            of the model that was not accepted.
    """

    round: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_balanced_accuracy: float
    validation_auc: float
    replied: int
    left_out: str
    seconds: float
    overhead_seconds: float
    clinics: tuple[ClinicRound, ...] = ()
    rolled_back: str = ""

    @cached_property
    def clinics_text(self) -> str:
        """The clinics' parts as JSON, made once: every later state of the run has it again."""
        return json.dumps([one.to_dict() for one in self.clinics])


def best_round(history: Sequence[HistoryRow]) -> int:
    """The first round of the highest balanced accuracy on validation; 0 (the start) without a round."""
    best = best_row(history)
    return 0 if best is None else best.round


def best_row(rows: Iterable[HistoryRow], best: HistoryRow | None = None) -> HistoryRow | None:
    """The row of the best round: the first of the highest balanced accuracy on validation.

    A round that is worse than the best one before it at most clinics, each by its own images, is not the
    best, whatever the sum says.

    Args:
        rows: rounds in their order.
        best: the best one of those before them, if there is one.
    """
    for row in rows:
        score = row.validation_balanced_accuracy
        if math.isnan(score) or row.rolled_back:
            continue
        if best is None or (score > best.validation_balanced_accuracy and not _worse_at_most(row, best)):
            best = row
    return best


GUESSING_AUC = 0.505
"""An AUC up to this is no better than guessing."""


def guesses(row: HistoryRow) -> bool:
    """Whether the round's model is known to be no better than guessing."""
    return row.validation_auc <= GUESSING_AUC


def collapse(history: Sequence[HistoryRow]) -> str:
    """That the last model is no better than guessing, in a sentence; empty where it is better."""
    history = [row for row in history if not row.rolled_back]
    if not history or not guesses(history[-1]):
        return ""
    auc = f"AUC {history[-1].validation_auc:.3f}"
    better = [row.round for row in history if not guesses(row)]
    if not better:
        return f"No model of this run is better than guessing so far ({auc})"
    since = f"since round {better[-1] + 1}, its model is no better than guessing"
    return f"The run has collapsed: {since} ({auc})"


def _worse_at_most(row: HistoryRow, before: HistoryRow) -> bool:
    """Whether the model is worse than that of an earlier round at more than half of the clinics."""
    earlier = {one.clinic: one.balanced_accuracy for one in before.clinics}
    changes = [one.balanced_accuracy - earlier.get(one.clinic, math.nan) for one in row.clinics]
    known = [change for change in changes if not math.isnan(change)]
    return sum(change < 0 for change in known) > len(known) / 2


def row_values(row: HistoryRow) -> dict[str, Any]:
    """A round as JSON types; undefined metrics are ``None``, and there are no clinics if none are known."""
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in _numbers(row).items()
    }
    return {**values, **({"clinics": [one.to_dict() for one in row.clinics]} if row.clinics else {})}


def setbacks(history: Sequence[HistoryRow]) -> list[str]:
    """The rounds that were rolled back, each in a sentence."""
    return [f"Round {row.round} was rolled back: {row.rolled_back}" for row in history if row.rolled_back]


def row_text(row: HistoryRow) -> str:
    """A round as JSON, with NaN; without ``rolled_back`` where it is empty."""
    return f'{json.dumps(_numbers(row))[:-1]}, "clinics": {row.clinics_text}}}'


def row_from_values(values: Mapping[str, Any]) -> HistoryRow:
    """The round from :func:`row_text` or from :func:`row_values`.

    Raises:
        ValueError: a clinic's part is not one.
        TypeError: a field is missing or unknown.
    """
    clinics = tuple(ClinicRound.from_dict(one) for one in values.get("clinics", ()))
    numbers = {name: math.nan if value is None else value for name, value in values.items()}
    whole: dict[str, Any] = {**numbers, "clinics": clinics}
    return HistoryRow(**whole)


def _numbers(row: HistoryRow) -> dict[str, Any]:
    """The fields but ``clinics``, and without ``rolled_back`` where it is empty."""
    names = [field.name for field in fields(row) if field.name != "clinics"]
    return {name: getattr(row, name) for name in names if name != _LATER or row.rolled_back}


_COLUMNS = [field.name for field in fields(HistoryRow)]


def write_history(folder: Path, history: Sequence[HistoryRow]) -> None:
    """Write ``history.csv`` into a run's folder, all of it, so that it never repeats or misses a round.

    Raises:
        StorageError: the file cannot be written.
    """
    write_atomically(folder / HISTORY_FILE, csv_text(_COLUMNS, map(_cells, history)).encode())


def add_to_history(folder: Path, history: Sequence[HistoryRow]) -> None:
    """Add the last round to the run's ``history.csv``, which has those before, or was removed.

    Raises:
        StorageError: the file cannot be written.
    """
    path = folder / HISTORY_FILE
    if path.exists():
        append(path, csv_text(_COLUMNS, [_cells(history[-1])]).partition("\n")[2].encode())
    else:
        write_history(folder, history)


def _cells(row: HistoryRow) -> dict[str, Any]:
    return {**_numbers(row), "clinics": row.clinics_text if row.clinics else ""}


def round_text(number: int, rounds: int) -> str:
    """A round in words; what comes after the last of a run's rounds is that of the new last layer."""
    return f"round {number} of {rounds}" if number <= rounds else f"new last layer after {rounds} rounds"


def read_history(folder: Path) -> list[HistoryRow]:
    """Read ``history.csv``; undefined metrics are NaN.

    Raises:
        SettingsError: the file is missing or not the history of a run; names the row.
    """
    path, rows = folder / HISTORY_FILE, []
    try:
        text = path.read_bytes().decode()
        whole = text[: text.rfind("\n") + 1]  # a row is being added, or a full disk ended it
        with _long_cells():
            for cells in csv.DictReader(io.StringIO(whole, newline=""), strict=True):
                rows.append(_read_row(cells))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SettingsError(
            "This is not the history of a run",
            where=f"{path}, row {len(rows) + 2}",
            remedy="Resume the run to write it anew",
        ) from error
    return rows


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let Python read long cells; its limit is the whole process's, and guards other files."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _read_row(cells: dict[str, str]) -> HistoryRow:
    values: dict[str, Any] = {
        field.name: _TYPES.get(field.name, float)(cells[field.name])
        for field in fields(HistoryRow)
        if field.name != "clinics" and (field.name != _LATER or _LATER in cells)
    }
    return row_from_values({**values, "clinics": json.loads(cells.get("clinics") or "[]")})
