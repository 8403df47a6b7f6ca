"""The lesion and the skin around it, brought to one size: so no measure depends on the image's resolution."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

DIAMETER = 160  # pixels of a disc of the lesion's area, after scaling
MARGIN = 0.3  # of that diameter, around the lesion

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A lesion at a standard size.

    Attributes:
        lesion: how much of each pixel is lesion, float32 (h, w) in [0, 1].
        lab: the colours in CIELAB (D65), float32 (h, w, 3): L* in [0, 100].
        seen: which pixels lie in the image, bool (h, w): the lesion may reach its edge.
        grain: pixels of the patch for a pixel of the outline: finer detail of the border is not there.
    """

    lesion: Float
    lab: Float
    seen: Mask
    grain: float


def cut_patch(outline: Mask, image: NDArray[np.uint8]) -> Patch:
    """Cut the lesion out, with some skin around it, and scale it so that its area is that of a standard disc.

    Args:
        outline: of the lesion, bool (H, W), with at least one pixel.
        image: sRGB, uint8 (H, W, 3).
    """
    rows, columns = np.flatnonzero(outline.any(1)), np.flatnonzero(outline.any(0))
    equivalent = 2 * np.sqrt(outline.sum() / np.pi)
    margin, scale = int(np.ceil(MARGIN * equivalent)) + 1, DIAMETER / equivalent
    frame = (rows[0] - margin, rows[-1] + margin + 1, columns[0] - margin, columns[-1] + margin + 1)
    size = (max(1, round((frame[3] - frame[2]) * scale)), max(1, round((frame[1] - frame[0]) * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR

    def scaled(pixels: Float, border: int) -> Float:
        return np.asarray(cv2.resize(_cut(pixels, frame, border), size, interpolation=method), np.float32)

    return Patch(
        lesion=scaled(outline.astype(np.float32), cv2.BORDER_CONSTANT),
        lab=to_lab(scaled(image.astype(np.float32), cv2.BORDER_REPLICATE)),
        seen=scaled(np.ones(outline.shape, np.float32), cv2.BORDER_CONSTANT) > 0.999,
        grain=float(scale),
    )


def to_lab(rgb: Float) -> Float:
    """sRGB, float32 (..., 3) in 0-255, as CIELAB (ISO/CIE 11664-4) under D65."""
    pixels = np.ascontiguousarray(rgb / 255, np.float32).reshape(1, -1, 3)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.float32).reshape(rgb.shape)


def smooth(pixels: Float, sigma: float) -> Float:
    """A Gaussian blur of this standard deviation, pixels."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def _cut(pixels: Float, frame: tuple[int, int, int, int], border: int) -> Float:
    """Rows and columns from first to last, which may lie outside."""
    top, bottom, left, right = frame
    height, width = pixels.shape[:2]
    inner = pixels[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    outside = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    return np.asarray(cv2.copyMakeBorder(inner, *outside, border, value=0), np.float32)
