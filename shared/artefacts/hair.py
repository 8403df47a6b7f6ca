"""Dark hairs across the image."""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.artefacts.surroundings import Image, Mask, lay

DARK_BROWN = (45, 30, 25)
_OPACITY, _WIDTH = 0.85, 0.006


def hair(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Draw ten to twenty bent hairs; as real ones do, they cross the lesion too.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W).
        rng: the source of randomness.

    Returns:
        A new image of the same shape.
    """
    hairs = np.zeros(lesion.shape, np.uint8)
    thickness = max(1, round(_WIDTH * min(lesion.shape)))
    for _ in range(rng.integers(10, 21)):
        cv2.polylines(hairs, [_curve(lesion.shape, rng)], False, 255, thickness, cv2.LINE_AA)
    return lay(image, DARK_BROWN, hairs, _OPACITY)


def _curve(
    shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """A quadratic Bézier curve through the image, 24 points."""
    height, width = shape
    start = rng.uniform(0, 1, 2) * (width, height)
    length, angle = min(shape) * rng.uniform(0.4, 1.0), rng.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    end = start + length * along
    middle = (start + end) / 2 + length * rng.normal(0, 0.15) * across
    t = np.linspace(0, 1, 24)[:, None]
    return np.rint((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end).astype(np.int32)
