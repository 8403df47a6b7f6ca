"""The weighted mean of vectors, one at a time.

w = sum_k n_k w_k / sum_k n_k        (McMahan et al. 2017, algorithm 1, https://arxiv.org/abs/1602.05629)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.training.trainer import FloatVector

_BLOCK = 32_768  # values; the block's sums and temporaries stay in a core's cache


class StreamingMean:
    """Weighted mean of float32 vectors, one at a time, in two float64 vectors of memory.

    The second vector carries the rounding errors of the first (two-sum, Knuth, The Art of Computer
    Programming 2, 4.2.2), about 106 bits together. A product of a float32 and a count below 2**29 is exact in
    float64, so the sum is exact unless one weight's values span more than 15 decades between clinics: the
    mean does not depend on the order in which the clinics reply.
    """

    def __init__(self, parameters: int) -> None:
        self._sum = np.zeros(parameters)
        self._error = np.zeros(parameters)
        self.weight = 0

    def add(self, weights: FloatVector, weight: int) -> None:
        """Add one clinic's weights, float32 (P,), with their weight in the mean."""
        for start in range(0, weights.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            value = weights[block].astype(np.float64) * weight
            total = self._sum[block] + value
            rest = total - self._sum[block]
            self._error[block] += (self._sum[block] - (total - rest)) + (value - rest)
            self._sum[block] = total
        self.weight += weight

    def result(self) -> NDArray[np.float64]:
        """The mean, float64 (P,); nothing can be added to it any more."""
        self._sum += self._error
        self._sum /= self.weight
        return self._sum
