"""The contact sheet of an audit: for each artefact, the image whose melanoma score moved most."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.shared.artefacts.artefact_predictions import ArtefactPredictions, read_lesion
from dermafed.shared.artefacts.artefacts import CHANGES, draw
from dermafed.shared.artefacts.surroundings import Image
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.metrics.shortcuts.answers import log_odds
from dermafed.shared.report.sentences import spaced

CAPTION = "Of each artefact the image whose melanoma score moved most: not a typical one."
_SHOWN = 360  # pixels of the longer side


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image without and with an artefact.

    Attributes:
        title: the artefact's.
        label: the image's class.
        original: RGB uint8 (H, W, 3), small.
        changed: the same with the artefact.
        before: probability of melanoma without it.
        after: and with it.
    """

    title: str
    label: str
    original: Image
    changed: Image
    before: float
    after: float


def examples(predictions: ArtefactPredictions, classes: Sequence[str]) -> list[Example]:
    """Choose an image for each artefact, and draw the artefact on it again.

    Raises:
        ImageError: an image can no longer be read.
    """
    melanoma = classes.index(MELANOMA)
    before = log_odds(predictions.before, melanoma)
    chosen = []
    for name, change in CHANGES.items():
        after = predictions.after[name]
        index = int(np.abs(log_odds(after, melanoma) - before).argmax())
        record = predictions.records[index]
        image, lesion = read_lesion(record)
        chosen.append(
            Example(
                change.title,
                record.label,
                _small(image),
                _small(draw(change, image, lesion, record.image_id)),
                float(predictions.before[index, melanoma]),
                float(after[index, melanoma]),
            )
        )
    return chosen


def sheet_png(chosen: Sequence[Example]) -> bytes:
    """Draw each example's two images side by side, with both probabilities of melanoma.

    Returns:
        A PNG file; the same for the same examples.
    """
    drawing = Figure(figsize=(7, 2.6 * len(chosen) + 0.6), layout="constrained", facecolor="white")
    for (left, right), example in zip(drawing.subplots(len(chosen), 2, squeeze=False), chosen, strict=True):
        _picture(left, example.original, f"{_capital(spaced(example.label))}: melanoma {example.before:.2f}")
        _picture(right, example.changed, f"{example.title}: melanoma {example.after:.2f}")
    drawing.supxlabel(f"{CAPTION}\n{USE}", fontsize=9)
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()


def _picture(axes: Axes, image: Image, title: str) -> None:
    axes.imshow(image)
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(image: Image) -> Image:
    height, width = image.shape[:2]
    factor = min(1.0, _SHOWN / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
