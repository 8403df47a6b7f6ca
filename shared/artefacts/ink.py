"""Marks of a surgical pen on the skin around a lesion.

Winkler et al. 2019 (doi:10.1001/jamadermatol.2019.1735): with them, a network called more nevi melanoma.
"""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.artefacts.surroundings import Image, Mask, free_place, lay_outside, soften

GENTIAN_VIOLET = (90, 30, 150)
OPACITY = 0.9
_LENGTH, _WIDTH = 0.15, 0.022  # of a stroke; shares of the shorter side


def ink_marks(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Draw three to six short strokes in gentian violet.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W); its pixels stay as they are.
        rng: the source of randomness.

    Returns:
        A new image of the same shape.
    """
    side = min(lesion.shape)
    strokes = np.zeros(lesion.shape, np.uint8)
    for _ in range(rng.integers(3, 7)):
        x, y = free_place(lesion, _LENGTH * side / 2, rng)
        angle, half = rng.uniform(0, np.pi), _LENGTH * side * rng.uniform(0.35, 0.65)
        # Three points, the middle one to the side: nobody draws straight.
        bend = rng.normal(0, half / 6)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        points = np.array([x, y], np.float64) + np.stack([-half * along, bend * across, half * along])
        cv2.polylines(
            strokes, [np.rint(points).astype(np.int32)], False, 255, max(2, round(_WIDTH * side)), cv2.LINE_AA
        )
    return lay_outside(image, lesion, GENTIAN_VIOLET, soften(strokes), OPACITY)
