"""What the measures take: a way to explain, a way to predict, and a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Heatmap = NDArray[np.float32]

Explain = Callable[[Image, int], Heatmap]
"""Image uint8 (S, S, 3) and class index to a map float32 (S, S) in [0, 1], high where it matters."""

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Images float32 (N, S, S, 3) in 0-255 to probabilities float32 (N, C)."""

NEUTRAL = np.array([123.675, 116.28, 103.53], np.float32)
"""Colour of a removed pixel, RGB in 0-255: ImageNet's mean, which a standardised network sees as zero.

RISE and Score-CAM remove by setting the network's standardised input to zero: this colour. No colour is free
of meaning: a lesion classifier takes any plain or blurred image, of whatever colour, for a certain nevus. So
deletion, insertion and drop tell methods apart on lesions taken for something else, and hardly on nevi.
"""


def checked_heatmap(heatmap: NDArray[Any], image: Image) -> Heatmap:
    """Refuse a map that does not belong to its image.

    Args:
        heatmap: (S, S) in [0, 1].
        image: uint8 (S, S, 3).

    Returns:
        The map as float32.

    Raises:
        ValueError: image or map have other shapes or types, or the map leaves [0, 1] (NaN included).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the image is {image.dtype} {image.shape}, not uint8 (S, S, 3)")
    if heatmap.shape != image.shape[:2]:
        raise ValueError(f"the map {heatmap.shape} does not fit the image {image.shape}")
    if not (heatmap.min() >= 0 and heatmap.max() <= 1):
        raise ValueError("the map has values outside [0, 1]")
    return heatmap.astype(np.float32, copy=False)
