"""Step 3: a clinic's vector under its masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from dermafed.shared.compression.codes import VERSION, pack, packed_bytes, unpack
from dermafed.shared.secure_sum.masks import Ring
from dermafed.shared.secure_sum.packing import INDEX_BYTES, Kind, Unpacker, malformed, packed, packed_index

HEADER_BYTES = 2 + INDEX_BYTES
"""Bytes of a message besides its numbers, where all have 32 bits."""

_COUNT_BYTES = 4


class Tail(NamedTuple):
    """The numbers at a vector's end that have few bits.

    Attributes:
        size: how many they are.
        bits: of each; the higher ones are of no use, and stay at the clinic.
    """

    size: int
    bits: int


NO_TAIL = Tail(0, 32)
"""All numbers have 32 bits."""


@dataclass(frozen=True)
class MaskedVector:
    """A clinic's part of the sum.

    Attributes:
        clinic: its place in the roster.
        values: uint32 (P,), uniformly random to whoever lacks a mask.
        tail: those of them that have few bits.
    """

    clinic: int
    values: Ring = field(repr=False)
    tail: Tail = NO_TAIL

    def to_bytes(self) -> bytes:
        """The message: 4 bytes and 4 for each number (the low byte first).

        With numbers of few bits, the coding's version, their bits and their count come first, and they last.
        """
        whole = self.values[: self.values.size - self.tail.size].astype("<u4").tobytes()
        if not self.tail.size:
            return packed(Kind.MASKED_VECTOR, packed_index(self.clinic), whole)
        count = self.tail.size.to_bytes(_COUNT_BYTES, "big")
        about = bytes((VERSION, self.tail.bits)) + count
        few = pack(self.values[-self.tail.size :], self.tail.bits)
        return packed(Kind.CODED_VECTOR, packed_index(self.clinic), about, whole, few)

    @classmethod
    def from_bytes(cls, data: bytes, size: int, tail: Tail = NO_TAIL) -> Self:
        """Decode :meth:`to_bytes` of a vector of this length and tail.

        Raises:
            FederationError: it is malformed, or of another length.
        """
        vector = cls.of_any_length(data)
        if (vector.values.size, vector.tail) != (size, tail):
            kind = Kind.CODED_VECTOR if vector.tail.size else Kind.MASKED_VECTOR
            expected = 4 * (size - tail.size) + packed_bytes(tail.size, tail.bits)
            raise malformed(kind, f"has {len(data) - HEADER_BYTES} bytes of numbers, not {expected}")
        return vector

    @classmethod
    def of_any_length(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed.
        """
        kind = Kind.CODED_VECTOR if data[1:2] == bytes((Kind.CODED_VECTOR,)) else Kind.MASKED_VECTOR
        fields = Unpacker(data, kind)
        clinic, tail = fields.index(), NO_TAIL
        if kind is Kind.CODED_VECTOR:
            version, bits = fields.take(2)
            tail = Tail(int.from_bytes(fields.take(_COUNT_BYTES), "big"), bits)
            if version != VERSION or not 0 < bits < 32 or not tail.size:
                raise malformed(kind, "has numbers of another version, or of no bits")
        rest = fields.rest()
        few = packed_bytes(tail.size, tail.bits) if tail.size else 0
        if len(rest) < few or (len(rest) - few) % 4:
            raise malformed(kind, f"has {len(rest)} bytes of numbers")
        whole = np.frombuffer(rest[: len(rest) - few], "<u4").astype(np.uint32)
        if not tail.size:
            return cls(clinic, whole)
        end = unpack(rest[len(rest) - few :], tail.bits, tail.size)
        return cls(clinic, np.concatenate([whole, end]), tail)
