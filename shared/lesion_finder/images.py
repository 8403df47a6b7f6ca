"""From images to the finder and back: sum up the cells of images with masks; find the lesions of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_sums import FinderSums, sum_up
from dermafed.shared.lesion_finder.outline import Floats, LesionOutline, Mask, outline
from dermafed.shared.model.cells import cell_model
from dermafed.shared.training.predict import BATCH_SIZE, apply_in_batches

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class FoundLesion:
    """What the finder makes of an image.

    Attributes:
        shares: how much of each cell is lesion, float32 (G, G), from 0 to 1.
        outline: the lesion's outline, or why there is none.
    """

    shares: Floats
    outline: LesionOutline


def sum_up_images(classifier: keras.Model, images: Pixels, masks: Sequence[Mask]) -> FinderSums:
    """A clinic's sums for the finder of a classifier.

    Args:
        classifier: with the weights that the finder belongs to.
        images: preprocessed, uint8 (N, S, S, 3).
        masks: bool (S, S) each, true on the lesion.

    Raises:
        ModelError: the classifier is no EfficientNet, or its maps are not finite.
    """
    network = cell_model(classifier)
    grid, features = network.output_shape[2:]
    shares = np.array([cell_shares(mask, grid) for mask in masks]).reshape(-1, grid, grid)
    parts = ((cells, shares[place]) for place, cells in _batches(network, images))
    return sum_up(parts, features)


def find_lesions(classifier: keras.Model, finder: LesionFinder, images: Pixels) -> Iterator[FoundLesion]:
    """Find the lesion of each image.

    Args:
        classifier: with the weights that the finder belongs to.
        finder: of this classifier.
        images: preprocessed, uint8 (N, S, S, 3).

    Raises:
        ModelError: the finder is of another network.
    """
    network = cell_model(classifier)
    for place, cells in _batches(network, images):
        for image, shares in zip(images[place], finder.find(cells), strict=True):
            yield FoundLesion(shares, outline(shares, image))


def cell_shares(mask: Mask, grid: int) -> Floats:
    """How much of each cell is lesion, float32 (G, G), of a mask bool (S, S)."""
    return np.asarray(cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA))


def _batches(network: keras.Model, images: Pixels) -> Iterator[tuple[slice, Floats]]:
    """The cells (B, G, G, K) of some images after the other: those of all would fill the memory."""
    for start in range(0, len(images), BATCH_SIZE):
        place = slice(start, start + BATCH_SIZE)
        yield place, apply_in_batches(network, images[place])
