"""What each round gave, one line a round."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dermafed.shared.storage.atomic_files import write_atomically

HISTORY_FILE = "history.csv"


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
        replied: number of clinics whose update was taken in.
        left_out: the other clinics, each with the reason, as one text; empty where all took part.
        seconds: duration of the round, up to writing its state.
        overhead_seconds: part of it during which no clinic was training or evaluating.
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


def best_round(history: Sequence[HistoryRow]) -> int:
    """The first round of the highest balanced accuracy on validation; 0 (the start) without a round."""
    judged = [row for row in history if not math.isnan(row.validation_balanced_accuracy)]
    return max(judged, key=lambda row: row.validation_balanced_accuracy).round if judged else 0


def write_history(folder: Path, history: Sequence[HistoryRow]) -> None:
    """Write ``history.csv`` into a run's folder, all of it, so that it never repeats or misses a round.

    Raises:
        StorageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(HistoryRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_atomically(folder / HISTORY_FILE, text.getvalue().encode())
