"""Another camera's white balance."""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.artefacts.surroundings import Image, Mask

_GAMMA = 2.2
GAIN = (0.15, 0.35)
"""From the least to the largest change of red and blue, in nats of linear light."""


def white_balance(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Make the whole image warmer or cooler: gains of red and blue in linear light, opposite to each other.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W).
        rng: the source of randomness.

    Returns:
        A new image of the same shape.
    """
    change = rng.uniform(*GAIN) * rng.choice([-1, 1])
    levels = np.arange(256) / 255
    gains = np.exp([change, 0, -change]) ** (1 / _GAMMA)
    table = np.rint(255 * np.clip(levels[:, None] * gains, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)
