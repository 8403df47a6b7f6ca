"""Predictions and truth as two CSV files in the layout of ISIC 2018's task 3, for its official scorer.

See Also:
    ``isic-challenge-scoring`` on the Python Package Index, which takes the truth's file first.

References:
    ISIC 2018 challenge, task 3, https://challenge.isic-archive.com/landing/2018/47: a column ``image``, and
    one for each of seven diagnoses, by its code and in this order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.diagnoses import canonical
from dermafed.shared.storage.atomic_files import write_atomically

PREDICTIONS_FILE, TRUTH_FILE = "isic-predictions.csv", "isic-truth.csv"

CODES = {
    "melanoma": "MEL",
    "nevus": "NV",
    "basal_cell_carcinoma": "BCC",
    "actinic_keratosis": "AKIEC",
    "benign_keratosis": "BKL",
    "dermatofibroma": "DF",
    "vascular_lesion": "VASC",
}
"""The challenge's column of each diagnosis, in its order."""


def write_challenge_files(
    folder: Path,
    images: Sequence[str],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
) -> None:
    """Write the predictions, and the truth to score them by, in order of the images' names; each atomically.

    Args:
        folder: an existing folder.
        images: names of the N images, unique.
        labels: int64 (N,), indices of the true classes.
        probabilities: float32 (N, C) in [0, 1].
        classes: C names. Those of the challenge's seven get its codes; others keep their names and order.

    Raises:
        StorageError: a file cannot be written.
    """
    for name, text in (
        (PREDICTIONS_FILE, predictions_csv(images, probabilities, classes)),
        (TRUTH_FILE, truth_csv(images, labels, classes)),
    ):
        write_atomically(folder / name, text.encode())


def predictions_csv(images: Sequence[str], probabilities: NDArray[np.float32], classes: Sequence[str]) -> str:
    """The text of the predictions' file: float32 without loss; arguments of :func:`write_challenge_files`."""
    return _table(images, probabilities, classes)


def truth_csv(images: Sequence[str], labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The text of the truth's file: 1.0 for the true class; arguments of :func:`write_challenge_files`."""
    return _table(images, np.eye(len(classes), dtype=np.float32)[labels], classes)


def _table(images: Sequence[str], values: NDArray[np.float32], classes: Sequence[str]) -> str:
    columns = _columns(classes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *columns])
    # In order: the scorer sorts the rows by their names, but not the weights that it gives them.
    for place in sorted(range(len(images)), key=images.__getitem__):
        writer.writerow([images[place], *(str(values[place, at]) for at in columns.values())])
    return text.getvalue()


def _columns(classes: Sequence[str]) -> dict[str, int]:
    """The name of each column, and the place of its class in the model's outputs."""
    places = {canonical(name): place for place, name in enumerate(classes)}
    if len(classes) == len(CODES) and places.keys() == CODES.keys():
        return {code: places[diagnosis] for diagnosis, code in CODES.items()}
    return {name: place for place, name in enumerate(classes)}
