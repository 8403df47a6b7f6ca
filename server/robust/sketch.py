"""Short vectors whose distances are, nearly, those of the long ones: count sketches.

Charikar, Chen and Farach-Colton 2002 (https://doi.org/10.1007/3-540-45465-9_59): each value is added, with a
random sign, to a random one of m places. Squared distances keep their expectation, with a relative standard
deviation of sqrt(2 / m) (Weinberger et al. 2009, https://arxiv.org/abs/0902.2206): 2 % for m = 4,096.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIZE = 4096
"""Values of a sketch by which updates are selected."""

CHUNK = 4096
"""Values of a vector that are sketched together; blocks start at a multiple of it."""


class Sketches:
    """Sketches of some vectors of equal length, which come in blocks.

    Vectors that are no longer than a sketch are their own sketches.

    Args:
        vectors: number of vectors n.
        parameters: their length P.
        seed: bytes that decide the places and signs. Who knows them can make a vector whose sketch is that of
            another.
        size: length m of a sketch.

    Attributes:
        values: the sketches, float64 (n, m).
    """

    def __init__(self, vectors: int, parameters: int, seed: bytes, size: int = SIZE) -> None:
        self._exact = parameters <= size
        self._size = parameters if self._exact else size
        self._seed = list(seed)
        self.values: Floats = np.zeros((vectors, self._size))

    def add(self, start: int, block: Floats) -> None:
        """Add the vectors' values (n, B) from position ``start`` on, a multiple of :data:`CHUNK`."""
        if self._exact:
            self.values[:, start : start + block.shape[1]] = block
            return
        for place in range(0, block.shape[1], CHUNK):
            self._add_chunk((start + place) // CHUNK, block[:, place : place + CHUNK])

    def _add_chunk(self, number: int, chunk: Floats) -> None:
        random = np.random.default_rng([*self._seed, number])
        places = random.integers(self._size, size=CHUNK)[: chunk.shape[1]]
        signs = random.integers(2, size=CHUNK)[: chunk.shape[1]] * 2.0 - 1.0
        rows = np.arange(len(chunk))[:, None] * self._size
        index, total = (rows + places).ravel(), self.values.size
        self.values += np.bincount(index, (chunk * signs).ravel(), total).reshape(self.values.shape)
