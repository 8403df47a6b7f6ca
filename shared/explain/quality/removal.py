"""Ways to remove a part of a lesion from an image: its mean colour, a blur, the colour of the skin around it.

No removal is free of meaning, and the order of methods depends on which is used, so there are several
(Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods",
arXiv:2202.00449).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Float, Image
from dermafed.shared.explain.quality.localisation import Mask

BLUR = 0.1
"""Standard deviation of the blur, in sides of the image: no structure of a lesion survives."""

GAP, RING = 0.02, 0.06
"""The ring of skin begins and ends so far from the lesion, in sides of the image."""

Removal = Callable[[Image, Mask], Float | None]
"""Image uint8 (S, S, 3) and lesion bool (S, S) to what removed pixels become, float32 (S, S, 3) in 0-255;
``None`` where the image does not have it."""


def mean_colour(image: Image, mask: Mask) -> Float:
    """The mean colour of the whole image."""
    return _plain(image, image.reshape(-1, 3).mean(axis=0))


def blur(image: Image, mask: Mask) -> Float:
    """The image without its structure."""
    sigma = BLUR * len(image)
    return np.asarray(
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    )


def skin_colour(image: Image, mask: Mask) -> Float | None:
    """The median colour of a ring around the lesion; ``None`` where the lesion leaves no skin."""
    ring = _grown(mask, RING) & ~_grown(mask, GAP)
    return _plain(image, np.median(image[ring], axis=0)) if ring.any() else None


REMOVALS: Mapping[str, Removal] = {"colour": mean_colour, "blur": blur, "skin": skin_colour}


def _plain(image: Image, colour: NDArray[np.float64]) -> Float:
    return np.broadcast_to(colour.astype(np.float32), image.shape)


def _grown(mask: Mask, by: float) -> Mask:
    side = 2 * max(1, round(by * len(mask))) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disk), np.bool_)
