"""Changes of weights as whole multiples of one step, rotated, in few bits each.

A change is rounded up or down at random, so that it is right on average (Suresh et al. 2017, section 2.2); by
whom it is summed, or that it is rounded, biases nothing. Multiples add up, so a secure sum takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.compression.rotation import Floats, Rotation
from dermafed.shared.errors import FederationError

VERSION = 1
"""Of rotation, rounding and packing; a message of another one is refused."""

Codes = NDArray[np.int32]
"""Multiples of a step, int32 (N,)."""


class Uniform(Protocol):
    """Random numbers that nobody else can predict, as of SecretRandom."""

    def uniform(self, count: int) -> Floats:
        """Uniform numbers in (0, 1], float64 (count,)."""


@dataclass(frozen=True)
class Coder:
    """The coding of the changes of a round.

    Attributes:
        rotation: the round's.
        bits: of each code, 2 to 16; in a sum, of each sum of codes.
    """

    rotation: Rotation
    bits: int

    @property
    def largest(self) -> int:
        """The largest multiple that fits."""
        return int(2 ** (self.bits - 1) - 1)

    def least_step(self, rotated: Floats) -> float:
        """The smallest power of two as a step with which rotated changes fit, float64 (N,)."""
        most = float(np.abs(rotated).max(initial=0.0))
        return float(2.0 ** np.ceil(np.log2(most / self.largest))) if most > 0 else 1.0

    def encode(self, rotated: Floats, step: float, random: Uniform) -> Codes:
        """Round rotated changes, float64 (N,), to multiples of a step.

        Raises:
            FederationError: one does not fit, or is not finite. Nothing is ever clipped.
        """
        scaled = rotated / step
        low = np.floor(scaled)
        with np.errstate(invalid="ignore"):  # what is not finite is refused below
            up = random.uniform(scaled.size) <= scaled - low
        return self.checked(low + up)

    def checked(self, codes: Floats) -> Codes:
        """Whole numbers as codes.

        Raises:
            FederationError: one does not fit, or is not finite.
        """
        most = float(np.abs(codes).max(initial=0.0))
        if not most <= self.largest:  # NaN too
            raise FederationError(
                f"A change of the weights takes {most:g} steps, more than {self.largest} in {self.bits} bits",
                where="compression",
                remedy="Nothing was sent; the next round sends all in full",
            )
        return codes.astype(np.int32)

    def decode(self, codes: NDArray[np.int32] | Floats, step: float) -> Floats:
        """The changes of codes or of their sum, float64 (N,): the same bits on every machine."""
        return self.rotation.inverse(codes.astype(np.float64)) * step


def pack(codes: NDArray[np.int32] | NDArray[np.uint32], bits: int) -> bytes:
    """The low bits of numbers: a plane for the lowest bit of all, then for the next, and so on."""
    low = codes.view(np.uint32)
    if bits >= 8:
        rest = low >> np.uint32(8)
        return low.astype(np.uint8).tobytes() + pack(rest, bits - 8)
    planes = (np.packbits((low >> np.uint32(bit)) & np.uint32(1) != 0) for bit in range(bits))
    return b"".join(plane.tobytes() for plane in planes)


def packed_bytes(count: int, bits: int) -> int:
    """Length of :func:`pack` of so many numbers."""
    return count * (bits // 8) + -(-count // 8) * (bits % 8)


def unpack(data: bytes | memoryview, bits: int, count: int) -> NDArray[np.uint32]:
    """The numbers of :func:`pack`, uint32 (count,), from 0 to below 2**bits."""
    found, done = np.zeros(count, np.uint32), 0
    for shift in range(0, bits // 8 * 8, 8):
        found |= np.frombuffer(data[done : done + count], np.uint8).astype(np.uint32) << np.uint32(shift)
        done += count
    plane = -(-count // 8)
    for bit in range(bits // 8 * 8, bits):
        packed = np.frombuffer(data[done : done + plane], np.uint8)
        found |= np.unpackbits(packed)[:count].astype(np.uint32) << np.uint32(bit)
        done += plane
    return found


def signed(numbers: NDArray[np.uint32], bits: int) -> Codes:
    """Numbers modulo 2**bits as those from -2**(bits - 1) on."""
    spare = np.uint32(32 - bits)
    return (numbers << spare).view(np.int32) >> np.int32(spare)
