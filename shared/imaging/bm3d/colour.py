"""The opponent colour space of C-BM3D, as a rotation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Luminance, red against blue, green against both. With rows of norm 1 the noise keeps its standard deviation
# in each channel and stays uncorrelated between them, so no threshold needs a scale of its own.
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def to_opponent(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate RGB pixels (H, W, 3) into the opponent planes (3, H, W): luminance, then two chrominances."""
    return np.tensordot(_OPPONENT, rgb, axes=(1, 2))


def from_opponent(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate opponent planes (3, H, W) back into RGB pixels (H, W, 3)."""
    return np.tensordot(planes, _OPPONENT, axes=(0, 0))
