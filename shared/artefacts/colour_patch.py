"""A round coloured sticker, as on the images of children in the ISIC archive.

About half of its benign images have one, and no malignant one has (Rieger et al. 2020, arXiv:1909.13584).
"""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.artefacts.surroundings import Image, Mask, free_place, lay_outside, soften

COLOURS = ((225, 70, 50), (240, 150, 40), (235, 215, 60), (70, 165, 80), (50, 110, 200))
"""Red, orange, yellow, green and blue, RGB."""

RADIUS = (0.12, 0.22)
"""From the least to the largest; shares of the image's shorter side."""


def colour_patch(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Lay a sticker of a random colour beside the lesion, cut off by the image's edge or by the lesion.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W); its pixels stay as they are.
        rng: the source of randomness.

    Returns:
        A new image of the same shape.
    """
    side = min(lesion.shape)
    radius = side * rng.uniform(*RADIUS)
    colour = COLOURS[rng.integers(len(COLOURS))]
    disc = np.zeros(lesion.shape, np.uint8)
    centre = free_place(lesion, radius, rng)
    cv2.circle(disc, centre, max(1, round(radius)), 255, cv2.FILLED, cv2.LINE_AA)
    return lay_outside(image, lesion, colour, soften(disc))
