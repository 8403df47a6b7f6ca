"""Equalise local contrast with CLAHE: eq. (4) of the paper."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def clahe(image: NDArray[np.uint8], clip: float, grid: int) -> NDArray[np.uint8]:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of lightness.

    Only L of CIELAB changes, in 8 bits; a* and b*, the colours a diagnosis rests on, stay (equalising
    R, G and B instead shifts them by 6 units on average).

    Args:
        image: RGB (H, W, 3), uint8.
        clip: clip limit, as a multiple of a flat histogram's bin height.
        grid: tiles per side.

    Returns:
        RGB (H, W, 3), uint8; a new array.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    equaliser = cv2.createCLAHE(clip, (grid, grid))  # one per call: its buffers are not safe between threads
    lab[..., 0] = equaliser.apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(np.uint8, copy=False)
