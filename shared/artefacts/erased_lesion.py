"""The lesion erased: what a model then still answers, it reads from the skin around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.artefacts.surroundings import Image, Mask

_MARGIN = 0.04  # pigment fades beyond the outline; share of the shorter side
_SMALL = 96  # pixels of the longer side while the fill is computed: it is smooth


def erased_lesion(image: Image, lesion: Mask, rng: np.random.Generator) -> Image:
    """Fill the lesion and a margin with the colours of the skin around it.

    The colours are inpainted (Bertalmio et al. 2001, doi:10.1109/CVPR.2001.990497) on a small copy; the
    skin's grain is drawn from the ring around the lesion. Where all of the image is lesion, all becomes
    mid-gray.

    Args:
        image: RGB uint8 (H, W, 3).
        lesion: bool (H, W).
        rng: the source of randomness.

    Returns:
        A new image of the same shape, unchanged farther than the margin from the lesion.
    """
    wide = _grown(lesion, _MARGIN)
    ring = _grown(wide, _MARGIN) & ~wide
    if not ring.any():
        return np.where(wide[..., None], np.uint8(128), image)
    smooth = _inpainted(image, wide)
    grain = _grain(image, ring, wide)[rng.integers(ring.sum(), size=int(wide.sum()))]
    filled = image.copy()
    filled[wide] = np.rint(np.clip(smooth[wide] + grain, 0, 255)).astype(np.uint8)
    return filled


def _grown(mask: Mask, share: float) -> Mask:
    reach = max(1, round(share * min(mask.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask.astype(np.uint8), disc).astype(np.bool_)


def _inpainted(image: Image, hole: Mask) -> NDArray[np.float32]:
    height, width = hole.shape
    factor = min(1.0, _SMALL / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Any part of a small pixel in the lesion makes it a hole.
    holes = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    if holes.all():
        return np.full(image.shape, image[~hole].mean(axis=0), np.float32)
    filled = cv2.inpaint(small, holes.astype(np.uint8), 5, cv2.INPAINT_NS)
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _grain(image: Image, ring: Mask, hole: Mask) -> NDArray[np.float32]:
    """What the ring's pixels differ by from the skin near them, float32 (pixels of the ring, 3)."""
    sigma, skin = max(1.0, min(ring.shape) / 100), (~hole).astype(np.float32)
    total = cv2.GaussianBlur(image * skin[..., None], (0, 0), sigma)
    near = total[ring] / cv2.GaussianBlur(skin, (0, 0), sigma)[ring, None]
    return np.asarray(image[ring] - near, np.float32)
