"""A model's predictions of images as they are, with each artefact, and with the lesion erased."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.artefacts.artefacts import CHANGES, draw
from dermafed.shared.artefacts.surroundings import Image, Mask, central_disc
from dermafed.shared.errors import DatasetError, ImageError
from dermafed.shared.imaging.decoding import read_image, read_mask
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.process import cores

Probabilities = NDArray[np.float32]
Predict = Callable[[Image, Sequence[LesionRecord]], Probabilities]
"""Gives the probabilities (N, C) of preprocessed images, uint8 (N, S, S, 3), of so many records."""

CHUNK = 16  # images at a time: all their changed forms are in memory


@dataclass(frozen=True, slots=True, eq=False)
class ArtefactPredictions:
    """Predictions of the same N images.

    Attributes:
        records: the images that could be read.
        before: probabilities of the images as they are, float32 (N, C).
        after: those of the changed images, by the name of the change.
        unseen: the share of images of which the network's input stayed the same, by the name of the change.
        unreadable: the image files that were skipped, each with the reason.
    """

    records: tuple[LesionRecord, ...]
    before: Probabilities
    after: dict[str, Probabilities]
    unseen: dict[str, float]
    unreadable: tuple[tuple[Path, str], ...]


def predict_with_artefacts(
    records: Sequence[LesionRecord],
    settings: PreprocessSettings,
    predict: Predict,
    *,
    skip_bad: bool,
    progress: Callable[[int, int], None],
) -> ArtefactPredictions:
    """Draw every artefact on every image, preprocess, and predict; nothing is written.

    Args:
        records: the images; without a mask, a central disc stands for the lesion.
        settings: the model's preprocessing.
        predict: the model.
        skip_bad: leave images and masks out that cannot be used, instead of raising.
        progress: called with the number of images done and of all.

    Raises:
        DatasetError: no image can be used.
        ImageError: an image or a mask cannot be read, a mask has another size or shows no lesion.
    """
    read, outputs, same = [], [], []
    unreadable: list[tuple[Path, str]] = []
    for chunk, inputs in _chunks(records, settings, skip_bad, progress, unreadable):
        read += chunk
        outputs.append(np.stack([predict(inputs[:, form], chunk) for form in range(inputs.shape[1])]))
        same.append((inputs[:, 1:] == inputs[:, :1]).all(axis=(2, 3, 4)))
    if not read:
        raise DatasetError("No image can be used", where=records[0].path.parent, remedy="Check the files")
    probabilities, unseen = np.concatenate(outputs, axis=1), np.concatenate(same).mean(axis=0)
    return ArtefactPredictions(
        tuple(read),
        probabilities[0],
        dict(zip(CHANGES, probabilities[1:], strict=True)),
        dict(zip(CHANGES, map(float, unseen), strict=True)),
        tuple(unreadable),
    )


def read_lesion(record: LesionRecord) -> tuple[Image, Mask]:
    """Read an image and where its lesion is: uint8 RGB (H, W, 3), bool (H, W).

    Raises:
        ImageError: as :func:`predict_with_artefacts`.
    """
    image = read_image(record.path)
    if record.mask is None:
        return image, central_disc(*image.shape[:2])
    mask = read_mask(record.mask)
    if mask.shape != image.shape[:2]:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.shape, image.shape)]
        raise ImageError(
            f"The mask has {sizes[0]} pixels, its image {sizes[1]}",
            where=record.mask,
            remedy="Replace the mask, or remove it: a central disc then stands for the lesion",
        )
    if not mask.any():
        raise ImageError(
            "The mask shows no lesion",
            where=record.mask,
            remedy="Make the lesion white, or remove the mask: a central disc then stands for the lesion",
        )
    return image, mask


def _chunks(
    records: Sequence[LesionRecord],
    settings: PreprocessSettings,
    skip_bad: bool,
    progress: Callable[[int, int], None],
    unreadable: list[tuple[Path, str]],
) -> Iterator[tuple[list[LesionRecord], Image]]:
    """The records of a chunk that can be used, and all forms of their images, uint8 (N, forms, S, S, 3)."""

    def load(record: LesionRecord) -> Image | ImageError:
        try:
            return _forms(record, settings)
        except ImageError as error:
            if not skip_bad:
                raise
            return error

    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(records), CHUNK):
            chunk, usable, forms = records[start : start + CHUNK], [], []
            for record, loaded in zip(chunk, pool.map(load, chunk), strict=True):
                if isinstance(loaded, ImageError):
                    unreadable.append((record.path, loaded.what))
                else:
                    usable.append(record)
                    forms.append(loaded)
            if usable:
                yield usable, np.stack(forms)
            progress(min(start + CHUNK, len(records)), len(records))


def _forms(record: LesionRecord, settings: PreprocessSettings) -> Image:
    """The network's input for an image as it is and for each of its changes, uint8 (forms, S, S, 3)."""
    image, lesion = read_lesion(record)
    changed = (draw(change, image, lesion, record.image_id) for change in CHANGES.values())
    return np.stack([preprocess(form, settings).image for form in (image, *changed)])
