"""Resize an image of any shape to a square, without changing its aspect ratio."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.preprocess_settings import Fit


def resize(image: NDArray[np.uint8], size: int, fit: Fit) -> NDArray[np.uint8]:
    """Resize to a square, by area averages when shrinking and bicubic when enlarging.

    The margin of ``"pad"`` mirrors the image: it has the image's noise, where a black or smeared one lowers
    the noise estimate by a quarter (4:3 images), and it adds no edge that skin does not have.

    Args:
        image: RGB (H, W, 3), uint8.
        size: the result's side, pixels.
        fit: ``"crop"`` uses the centred square, ``"pad"`` the whole image with a mirrored margin.

    Returns:
        RGB (size, size, 3), uint8; a new array.
    """
    return _scale(_centre_square(image), size) if fit == "crop" else _pad_square(_scale(image, size), size)


def _centre_square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _scale(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale so that the longer side is `size` pixels."""
    height, width = image.shape[:2]
    factor = size / max(height, width)
    if factor == 1:
        return image.copy()
    shape = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, shape, interpolation=method).astype(np.uint8, copy=False)


def _pad_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    margins = (top, size - height - top, left, size - width - left)
    return cv2.copyMakeBorder(image, *margins, cv2.BORDER_REFLECT_101).astype(np.uint8, copy=False)
