"""Lesion masks in the frame of the preprocessed image, and which of them can be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.decoding import read_image, upright_size
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize

Mask = NDArray[np.bool_]

_OTHER_PROPORTIONS = 0.02  # of width to height: beyond what rounding to whole pixels makes


def lesion_mask(path: Path, settings: PreprocessSettings) -> Mask:
    """Read a binary mask and bring it to the preprocessed image's frame.

    Args:
        path: an image file of the photograph's size, white on the lesion.
        settings: the photograph's preprocessing.

    Returns:
        bool (S, S).

    Raises:
        ImageError: the file cannot be read.
    """
    return resize(read_image(path), settings.image_size, settings.fit)[..., 0] >= 128


def usable_mask(photograph: Path, mask: Path, settings: PreprocessSettings) -> Mask | None:
    """The mask of a photograph in the preprocessed image's frame, if it can be one.

    Args:
        photograph: its file, of which only the size is read.
        mask: of any size, but of the photograph's proportions.
        settings: the photograph's preprocessing.

    Returns:
        bool (S, S) with a lesion; ``None`` where the mask shows none in this frame, or has other proportions,
        so that nobody knows where in the photograph it lies.

    Raises:
        ImageError: a file cannot be read.
    """
    (width, height), (mask_width, mask_height) = map(upright_size, (photograph, mask))
    if abs(width * mask_height / (height * mask_width) - 1) > _OTHER_PROPORTIONS:
        return None
    found = lesion_mask(mask, settings)
    return found if found.any() else None
