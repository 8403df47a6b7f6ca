"""How much a reconstructed picture is like the original."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_WIDTH = 1.5


def structural_similarity(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """The mean structural similarity of two pictures: 1 for the same, about 0 for unrelated ones.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13, with their constants and their Gaussian window;
    colours are compared apart.

    Args:
        one: float (S, S, 3) in [0, 1].
        other: the same shape.
    """
    first, second = one.astype(np.float64), other.astype(np.float64)
    mean, of_other = _blurred(first), _blurred(second)
    variances = _blurred(first**2) - mean**2 + _blurred(second**2) - of_other**2
    covariance = _blurred(first * second) - mean * of_other
    light = (2 * mean * of_other + 0.01**2) / (mean**2 + of_other**2 + 0.01**2)
    return float((light * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean())


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(values, (_WIDTH, _WIDTH, 0), truncate=3.5)
    return blurred
