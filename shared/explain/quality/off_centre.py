"""The images whose lesion is farthest from the middle: there a blob in the middle is wrong.

Dermoscopic photographs centre the lesion, so a map that ignores the image scores well on most of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def distance_from_middle(mask: NDArray[np.bool_]) -> float:
    """How far the lesion's centroid is from the middle of the image.

    Args:
        mask: bool (S, S), true on the lesion somewhere.

    Returns:
        In sides of the image, from 0 to 0.71.
    """
    middle = (np.array(mask.shape) - 1) / 2
    return float(np.linalg.norm((np.argwhere(mask).mean(axis=0) - middle) / mask.shape))


def farthest_third(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Which lesions are among the third that is farthest from the middle.

    Args:
        masks: bool (S, S) each, true on the lesion somewhere.

    Returns:
        bool (N,), true for N / 3 of them, rounded; of equally far ones the first count.
    """
    distances = np.array([distance_from_middle(mask) for mask in masks])
    far = np.zeros(len(masks), np.bool_)
    far[np.argsort(-distances, kind="stable")[: round(len(masks) / 3)]] = True
    return far
