"""The scale that some dermatoscopes show along an edge of the image."""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.artefacts.surroundings import Image, Mask, lay_outside

BLACK = (25, 25, 25)
_OPACITY = 0.9


def ruler(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Draw a scale along that long edge of the image which is farther from the lesion.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W); its pixels stay as they are.
        rng: the source of randomness.

    Returns:
        A new image of the same shape.
    """
    height, width = lesion.shape
    upright = height > width
    scale = _scale(max(height, width), min(height, width), rng)
    drawn = scale.T if upright else scale
    flipped = drawn[:, ::-1] if upright else drawn[::-1]
    scale = min(drawn, flipped, key=lambda where: int((where > 0)[lesion].sum()))
    return lay_outside(image, lesion, BLACK, scale, _OPACITY)


def _scale(length: int, depth: int, rng: np.random.Generator) -> Image:
    """A scale along the lower edge, 0-255 (depth, length): a line and marks, each fifth longer."""
    scale = np.zeros((depth, length), np.uint8)
    thickness = max(1, round(depth / 150))
    base = depth - 1 - round(depth * rng.uniform(0.01, 0.04))
    cv2.line(scale, (0, base), (length, base), 255, thickness, cv2.LINE_AA)
    step = depth * rng.uniform(0.025, 0.05)
    for number in range(int(length / step) + 1):
        x = round(number * step)
        mark = depth * (0.1 if number % 10 == 0 else 0.07 if number % 5 == 0 else 0.04)
        cv2.line(scale, (x, base), (x, round(base - mark)), 255, thickness, cv2.LINE_AA)
    return scale
