"""Where the lesion is not: places on the skin around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

DISC = 0.35
"""Radius of the central disc that stands for a lesion without a mask; share of the shorter side."""


def central_disc(height: int, width: int) -> Mask:
    """A disc in the middle of the image, bool (H, W): where a lesion usually is."""
    disc = np.zeros((height, width), np.uint8)
    radius = round(DISC * min(height, width))
    cv2.circle(disc, (width // 2, height // 2), radius, 1, cv2.FILLED)
    return disc.astype(np.bool_)


def free_place(lesion: Mask, clearance: float, rng: np.random.Generator) -> tuple[int, int]:
    """Choose a place on the skin at random.

    Args:
        lesion: bool (H, W), true on the lesion.
        clearance: distance from the lesion, pixels.
        rng: the source of randomness.

    Returns:
        x and y; where no place is so far from the lesion, one of those that are farthest.
    """
    distance = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 3) if lesion.any() else None
    if distance is None:
        distance = np.full(lesion.shape, clearance, np.float32)
    rows, columns = np.nonzero(distance >= min(clearance, float(distance.max())))
    chosen = rng.integers(rows.size)
    return int(columns[chosen]), int(rows[chosen])


def soften(drawn: Image) -> Image:
    """Blur a drawing, uint8 (H, W), as much as a lens blurs an edge: by 1/400 of the shorter side."""
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), max(0.5, min(drawn.shape) / 400)), np.uint8)


def lay(image: Image, colour: tuple[int, int, int], drawn: Image, opacity: float = 1.0) -> Image:
    """Lay a drawing in one colour over an image.

    Args:
        image: RGB uint8 (H, W, 3).
        colour: RGB, 0-255.
        drawn: where, and how fully, uint8 (H, W).
        opacity: of the fully drawn, in [0, 1].
    """
    where, laid = drawn > 0, image.copy()
    share = drawn[where, None].astype(np.float32) * np.float32(opacity / 255)
    laid[where] = np.rint(image[where] * (1 - share) + np.array(colour, np.float32) * share).astype(np.uint8)
    return laid


def lay_outside(
    image: Image, lesion: Mask, colour: tuple[int, int, int], drawn: Image, opacity: float = 1.0
) -> Image:
    """As :func:`lay`, with the lesion's pixels unchanged; `lesion` is bool (H, W)."""
    return lay(image, colour, np.where(lesion, np.uint8(0), drawn), opacity)
