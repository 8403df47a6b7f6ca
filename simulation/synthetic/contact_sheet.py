"""A contact sheet: a row of random images for each class."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def contact_sheet(folder: Path, out: Path, per_class: int = 6) -> None:
    """Draw random images of a dataset, one row per class, titled by clinic; always the same ones.

    Args:
        folder: holds ``metadata.csv`` and ``images/*.jpg``.
        out: the picture to write (PNG).
        per_class: images in a row.
    """
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        lesions = {row["lesion_id"]: row for row in csv.DictReader(file)}.values()
    classes = sorted({row["diagnosis"] for row in lesions})
    figure = Figure(figsize=(1.7 * per_class, 1.95 * len(classes)), layout="constrained")
    grid = figure.subplots(len(classes), per_class, squeeze=False)
    for axis in grid.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    for diagnosis, row in zip(classes, grid, strict=True):
        row[0].set_ylabel(diagnosis.replace("_", " "))
        _fill(row, [lesion for lesion in lesions if lesion["diagnosis"] == diagnosis], folder / "images")
    figure.savefig(out, dpi=130)


def _fill(axes: Sequence[Axes], lesions: list[dict[str, str]], folder: Path) -> None:
    chosen = np.random.default_rng(1).permutation(len(lesions))[: len(axes)]
    for axis, at in zip(axes, chosen, strict=False):
        axis.imshow(matplotlib.image.imread(folder / f"{lesions[at]['image_id']}.jpg"))
        axis.set_title(lesions[at]["clinic"].replace("_", " "), fontsize=8)
