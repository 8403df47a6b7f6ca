"""A random artefact of random strength on a share of images: training against shortcuts.

A mark that says nothing of the class in training is no sign of it. (Rieger et al. 2020, arXiv:1909.13584,
and Bissoto et al. 2020, arXiv:2004.11457, measured what networks read from such marks otherwise.)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dermafed.shared.artefacts.artefacts import ARTEFACTS
from dermafed.shared.artefacts.surroundings import Image, Mask, central_disc

STRENGTH = (0.3, 1.0)
"""From the faintest to the fullest: share of the drawn artefact in the mix with the image as it was."""


def random_artefact(image: Image, share: float, rng: np.random.Generator) -> Image:
    """Draw one of :data:`~dermafed.shared.artefacts.artefacts.ARTEFACTS` on an image, or none.

    A central disc stands for the lesion on every image, with a mask or without: so that nothing of how an
    artefact is drawn depends on the clinic or the diagnosis.

    Args:
        image: RGB uint8 (H, W, 3).
        share: the probability of an artefact, from 0 to 1.
        rng: the source of randomness.

    Returns:
        A new image of the same shape, or the same object where nothing is drawn.
    """
    if rng.random() >= share:
        return image
    artefact = list(ARTEFACTS.values())[rng.integers(len(ARTEFACTS))]
    strength = np.float32(rng.uniform(*STRENGTH))
    drawn = artefact.draw(image, _lesion(*image.shape[:2]), rng)
    return np.rint(image + strength * (drawn.astype(np.float32) - image)).astype(np.uint8)


@lru_cache(maxsize=8)
def _lesion(height: int, width: int) -> Mask:
    disc = central_disc(height, width)
    disc.setflags(write=False)
    return disc
