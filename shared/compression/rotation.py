"""A random rotation that everybody knows: behind it all values of a vector have about the same scale.

    y = H D x / sqrt(B)        (Suresh et al. 2017, section 4, https://arxiv.org/abs/1611.00429)

D has random signs, H is the Hadamard matrix of size B. A vector is dealt out to blocks of B values like
cards, so that every block has values of each layer. What is left over is rotated with the last values of the
blocks: nothing is filled up, and rotated changes are as many as the changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 4**7
_FACTOR = 16  # H is a product of matrices of this size, or less: each passes over the values once


@dataclass(frozen=True)
class Rotation:
    """The rotation of a round.

    Attributes:
        seed: what the signs follow from, for example the digest of the model that everybody starts from.
        size: length N of the vectors, 1 or more.
    """

    seed: bytes
    size: int

    @property
    def block(self) -> int:
        """Values of a block B: a power of 4, so that sqrt(B) is a power of 2; 16,384, or less for few."""
        return min(_BLOCK, int(4 ** ((self.size.bit_length() - 1) // 2)))

    def forward(self, values: Floats) -> Floats:
        """Rotate float64 (N,) to (N,), of the same norm."""
        dealt, block = self.size // self.block * self.block, self.block
        rotated = np.multiply(values, self._signs[: self.size])
        rotated[:dealt] = _transformed(rotated[:dealt], block)
        if dealt < self.size:
            rotated[-block:] = _transformed(rotated[-block:] * self._signs[self.size :], block)
        return rotated

    def inverse(self, rotated: Floats) -> Floats:
        """Rotate back float64 (N,); exact for whole numbers below 2**24: the same bits on every machine."""
        dealt, block = self.size // self.block * self.block, self.block
        values = np.array(rotated)
        if dealt < self.size:
            values[-block:] = _transformed(values[-block:], block) * self._signs[self.size :]
        values[:dealt] = _transformed(values[:dealt], block)
        values *= self._signs[: self.size]
        return values

    @cached_property
    def _signs(self) -> Floats:
        """Those of all values, then those of the last block."""
        count = self.size + self.block
        stream = hashlib.shake_256(b"DermaFed rotation 1" + self.seed).digest(-(-count // 8))
        bits = np.unpackbits(np.frombuffer(stream, np.uint8))[:count]
        return 1.0 - 2.0 * bits.astype(np.float64)


def _transformed(values: Floats, block: int) -> Floats:
    """H / sqrt(B) of each block; row b of the matrix (B, blocks) has the b-th value of every block."""
    left, done = block, 1
    while left > 1:
        factor = min(_FACTOR, left)
        left //= factor
        # Along the axis of this factor, with those before and behind it as they are.
        values = np.matmul(_hadamard(factor), values.reshape(done, factor, -1)).reshape(-1)
        done *= factor
    return np.asarray(values * block**-0.5, np.float64)


def _hadamard(size: int) -> Floats:
    from scipy.linalg import hadamard  # slow to load, and --help comes by here

    return np.asarray(hadamard(size), np.float64)
