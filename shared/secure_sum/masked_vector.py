"""Step 3: a clinic's vector under its masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from dermafed.shared.secure_sum.masks import Ring
from dermafed.shared.secure_sum.packing import INDEX_BYTES, Kind, Unpacker, malformed, packed, packed_index

HEADER_BYTES = 2 + INDEX_BYTES
"""Bytes of a message besides its numbers."""


@dataclass(frozen=True)
class MaskedVector:
    """A clinic's part of the sum.

    Attributes:
        clinic: its place in the roster.
        values: uint32 (P,), uniformly random to whoever lacks a mask.
    """

    clinic: int
    values: Ring = field(repr=False)

    def to_bytes(self) -> bytes:
        """The message, 4 bytes and 4 for each number (the low byte first)."""
        return packed(Kind.MASKED_VECTOR, packed_index(self.clinic), self.values.astype("<u4").tobytes())

    @classmethod
    def from_bytes(cls, data: bytes, size: int) -> Self:
        """Decode :meth:`to_bytes` of a vector of this length.

        Raises:
            FederationError: it is malformed, or of another length.
        """
        fields = Unpacker(data, Kind.MASKED_VECTOR)
        clinic, rest = fields.index(), fields.rest()
        if len(rest) != 4 * size:
            raise malformed(Kind.MASKED_VECTOR, f"has {len(rest)} bytes of numbers, not {4 * size}")
        return cls(clinic, np.frombuffer(rest, "<u4").astype(np.uint32))
