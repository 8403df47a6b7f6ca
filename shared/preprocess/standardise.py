"""Standardisation: eq. (2) of the paper.

The paper standardises first and then denoises. BM3D commutes with an affine map that all channels share, if
sigma is scaled along, so DermaFed denoises and equalises in 8 bits, which can be cached and looked at, and
standardises at the network's input. The EfficientNets of ``keras.applications`` take 0-255 and do that in
their own first layers, with statistics that come with their weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Mean and standard deviation of ImageNet's R, G and B, 8-bit units.
IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def standardise(image: NDArray[Any], mean: ArrayLike, std: ArrayLike) -> NDArray[np.float32]:
    """Maps x to (x - mean) / std, eq. (2).

    Args:
        image: (..., 3), any real dtype.
        mean: one number, or one per channel, in the image's units.
        std: likewise, above zero.

    Returns:
        float32 of the image's shape.
    """
    return ((image - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)).astype(np.float32)
