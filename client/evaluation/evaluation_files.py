"""An evaluation on disk: ``metrics.json`` and, beside it, ``predictions.csv``."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

from dermafed.client.evaluation.evaluate import Evaluation
from dermafed.shared.errors import DermaFedError
from dermafed.shared.storage.atomic_files import write_atomically, write_json

PREDICTIONS_FILE, METRICS_FILE = "predictions.csv", "metrics.json"


def write_evaluation(folder: Path, evaluation: Evaluation) -> dict[str, Any]:
    """Writes both files, or neither, into a new or empty folder.

    Returns:
        The content of ``metrics.json``.

    Raises:
        DermaFedError: a file cannot be written.
    """
    summary = summarise(evaluation, folder / PREDICTIONS_FILE)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_atomically(folder / PREDICTIONS_FILE, predictions_table(evaluation).encode())
        write_json(folder / METRICS_FILE, summary)
    except DermaFedError:
        shutil.rmtree(folder)
        raise
    return summary


def predictions_table(evaluation: Evaluation) -> str:
    """CSV: the image, its label, and a column of float32 probabilities for each class, without loss."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", *evaluation.card.model.classes])
    for record, row in zip(evaluation.records, evaluation.probabilities, strict=True):
        writer.writerow([record.image_id, record.label, *map(str, row)])
    return text.getvalue()


def summarise(evaluation: Evaluation, predictions: Path) -> dict[str, Any]:
    """The figures, and what they are of, as JSON types."""
    card = evaluation.card
    return {
        "model": str(evaluation.model.resolve()),
        "round": card.round,
        "weights_origin": card.origin,
        "data": str(evaluation.data.resolve()),
        **evaluation.metrics.to_dict(),
        "excluded": evaluation.excluded,
        "unreadable": {str(path): reason for path, reason in evaluation.unreadable},
        "notes": list(evaluation.notes),
        "predictions": str(predictions.resolve()),
        "intended_use": "Research use only; not a medical device.",
    }
