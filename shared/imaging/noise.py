"""Estimates an image's noise level."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Immerkaer (1996), eq. (4): the difference of two Laplacians, blind to planes and straight edges.
_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def estimate_noise(image: NDArray[Any]) -> float:
    """Estimates the standard deviation of additive white noise (Immerkaer 1996, eq. (5)).

    The mean of the channels' estimates: BM3D takes one sigma for the noise in a channel, and luminance,
    an average of channels, would hold a third less. Resizing and JPEG smooth noise away, so estimate on
    exactly the image that is to be denoised.

    Args:
        image: (H, W) or (H, W, C), H and W at least 3, uint8 or float32.

    Returns:
        Standard deviation per channel, in the image's own units.
    """
    residual = cv2.filter2D(image.astype(np.float32, copy=False), cv2.CV_32F, _KERNEL)
    inner = residual[1:-1, 1:-1]
    return math.sqrt(math.pi / 2) / 6 * float(np.abs(inner).mean(dtype=np.float64))
