"""Random numbers that nobody outside can predict: AES-256 in counter mode, under a key of this moment.

Noise and samples of a plan's public seed would protect nobody: whoever has the seed subtracts the noise.
"""

from __future__ import annotations

import secrets

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

KEY_BYTES = 32


class SecretRandom:
    """A stream of random numbers."""

    def __init__(self, key: bytes) -> None:
        """Take a key of :data:`KEY_BYTES` bytes that was never used before; see :meth:`fresh`."""
        self._stream = Cipher(AES(key), CTR(bytes(16))).encryptor()

    @classmethod
    def fresh(cls) -> SecretRandom:
        """A stream under a new key of the operating system's generator."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def words(self, count: int) -> NDArray[np.uint64]:
        """Uniform numbers of 64 bits, uint64 (count,)."""
        return np.frombuffer(self._stream.update(bytes(8 * count)), "<u8").astype(np.uint64)

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Uniform numbers in (0, 1], float64 (count,), of 64 bits."""
        return (self.words(count).astype(np.float64) + 0.5) * 2.0**-64

    def below(self, end: int, count: int) -> NDArray[np.int64]:
        """Uniform whole numbers from 0 to below `end`, less than 2^63: int64 (count,)."""
        last = np.uint64(2**64 // end * end - 1)  # those above it would make small numbers more frequent
        words = self.words(count)
        while (beyond := words > last).any():
            words[beyond] = self.words(int(beyond.sum()))
        return (words % np.uint64(end)).astype(np.int64)

    def chosen(self, rate: float, count: int) -> NDArray[np.bool_]:
        """Which of so many are in a sample that each enters on its own with this probability (Poisson)."""
        return self.uniform(count) <= rate
