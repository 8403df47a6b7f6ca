"""Whether pixels are the colours that their header says: RGB, or lightness and two chromas (YBR)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SAMPLE = 128  # rows and columns looked at
_ROUNDING = 6.0  # levels outside 0-255 that rounding alone explains
_SHARE = 0.01  # of pixels outside
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])  # JFIF, from Y, Cb-128, Cr-128


def is_possible_ybr(values: NDArray[np.uint8]) -> bool:
    """Whether values (H, W, 3) can be YBR: of what was made from RGB, all lies inside RGB's cube.

    ``docs/bad-input.md`` says how often it is right.
    """
    sample = _sample(values)
    rgb = (sample - [0, 128, 128]) @ _TO_RGB.T
    return bool(((rgb < -_ROUNDING) | (rgb > 255 + _ROUNDING)).any(axis=1).mean() <= _SHARE)


def is_probable_ybr(values: NDArray[np.uint8]) -> bool:
    """Whether values (H, W, 3) are more like YBR than RGB: on skin, the chromas move little, and against each
    other, while green and blue move together.

    ``docs/bad-input.md`` says how often it is right.
    """
    sample = _sample(values)
    light, *chromas = sample.std(axis=0)
    if min(chromas) == 0 or max(chromas) >= light:
        return False
    return is_possible_ybr(values) and bool(np.corrcoef(sample[:, 1], sample[:, 2])[0, 1] < 0)


def to_rgb(ybr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Full-range YBR (H, W, 3), DICOM's YBR_FULL and JFIF's YCbCr, as RGB."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(ybr[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB), np.uint8)


def _sample(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = (-(-side // _SAMPLE) for side in values.shape[:2])
    return values[::rows, ::columns].reshape(-1, 3).astype(np.float64)
