"""Take the colour of light and camera out of an image, so that the colours of lesions can be named.

References:
    Finlayson and Trezzi, *Shades of gray and colour constancy*, Color Imaging Conference 12 (2004).
    Barata, Celebi and Marques, *Improving dermoscopy image classification using color constancy*, IEEE
    Journal of Biomedical and Health Informatics 19 (2015): the same, with p = 6, on dermoscopic images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_P = 6


def shades_of_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale the channels so that their Minkowski means of order 6 are equal.

    The light is e_c = (mean I_c^6)^(1/6), brought to length 1; the result is I_c / (sqrt(3) e_c).

    Args:
        image: RGB uint8 (H, W, 3).

    Returns:
        RGB uint8 (H, W, 3); an image with a channel of zeros as it is.
    """
    levels = np.arange(256, dtype=np.float64)
    counts = np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])
    light = ((counts * levels**_P).sum(1) / image[..., 0].size) ** (1 / _P)
    if not light.all():
        return image
    gains = np.linalg.norm(light) / (np.sqrt(3) * light)
    table = np.clip(np.rint(levels[:, None] * gains), 0, 255).astype(np.uint8)
    return np.stack([table[image[..., c], c] for c in range(3)], axis=2)
