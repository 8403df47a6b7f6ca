"""The dark corners of a dermatoscope's round field of view."""

from __future__ import annotations

import numpy as np

from dermafed.shared.artefacts.surroundings import Image, Mask


def vignette(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Darken the image towards its corners; the edge of a large lesion becomes darker too.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W).
        rng: the source of randomness.

    Returns:
        A new image of the same shape.
    """
    height, width = lesion.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    # 1 in the corners, 0 in the middle.
    radius = np.hypot((columns + 0.5) / width - 0.5, (rows + 0.5) / height - 0.5) / np.sqrt(0.5)
    start, end = rng.uniform(0.5, 0.65), rng.uniform(0.9, 1.0)
    darkness = np.clip((radius - start) / (end - start), 0, 1)
    smooth = darkness**2 * (3 - 2 * darkness)
    light = 1 - rng.uniform(0.7, 0.95) * smooth
    return np.asarray(np.rint(image * light[..., None]), np.uint8)
