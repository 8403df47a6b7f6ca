"""Which values of a model's flat vector travel, and which of them in few bits."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError

Ranges = NDArray[np.int64]
"""Start and length of pieces of a vector, ascending and apart: int64 (R, 2)."""

MOST_BITS = 16


@dataclass(frozen=True)
class Selection:
    """The values that training moves; the others are those of the model that was sent.

    Attributes:
        full: those that travel in full, as ranges.
        coded: those whose changes travel in few bits, as ranges.
        bits: of each of these; 0: none are coded.
        step: that all clinics of a sum have in common; 0: each message has its own.
    """

    full: Ranges = field(repr=False)
    coded: Ranges = field(repr=False)
    bits: int = 0
    step: float = 0.0

    @classmethod
    def of(cls, moved: NDArray[np.bool_], coded: NDArray[np.bool_], bits: int = 0) -> Selection:
        """The selection by masks, bool (P,): what training moves, and what may be coded of it."""
        within = moved & coded if bits else np.zeros_like(moved)
        return cls(ranges_of(moved & ~within), ranges_of(within), bits)

    @cached_property
    def full_size(self) -> int:
        """How many values travel in full."""
        return int(self.full[:, 1].sum())

    @cached_property
    def coded_size(self) -> int:
        """How many values are coded, N."""
        return int(self.coded[:, 1].sum())

    def check(self, parameters: int) -> None:
        """Refuse ranges that are not of a vector of this length.

        Raises:
            FederationError: they are not, overlap, or the bits are none.
        """
        check_ranges(self.full, parameters)
        check_ranges(self.coded, parameters)
        if self.full_size + self.coded_size != self._mask(parameters).sum():
            raise FederationError("The message selects a weight twice")
        if not 0 <= self.bits <= MOST_BITS or (self.bits < 2 and self.coded_size):
            raise FederationError(f"The message wants weights in {self.bits} bits")
        if not 0 <= self.step < math.inf:
            raise FederationError("The message has an impossible step")

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal."""
        text = json.dumps([self.full.tolist(), self.coded.tolist(), self.bits, self.step])
        return hashlib.sha256(text.encode()).hexdigest()

    def unmoved(self, before: NDArray[Any], after: NDArray[Any]) -> bool:
        """Whether all values outside the selection are the same in two vectors (P,), to the last bit."""
        outside = ~self._mask(before.size)
        return bool((before.view(np.uint32)[outside] == after.view(np.uint32)[outside]).all())

    def _mask(self, parameters: int) -> NDArray[np.bool_]:
        mask = np.zeros(parameters, bool)
        for start, length in (*self.full, *self.coded):
            mask[start : start + length] = True
        return mask


def ranges_of(mask: NDArray[np.bool_]) -> Ranges:
    """The ranges in which a mask, bool (P,), is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1).astype(np.int64)


def check_ranges(ranges: Ranges, parameters: int) -> None:
    """Refuse ranges that are not ascending pieces of a vector of this length.

    Raises:
        FederationError: they are not.
    """
    starts, lengths = (column.astype(object) for column in ranges.T)  # no sum of these overflows
    after = [0, *(starts + lengths)]
    apart = all(end <= start for end, start in zip(after, [*starts, parameters], strict=True))
    if not (apart and all(length > 0 for length in lengths)):
        raise FederationError("The ranges of a message are not those of the model's weights")


def taken(vector: NDArray[Any], ranges: Ranges) -> NDArray[Any]:
    """The values of a vector in some ranges, one after the other."""
    if not len(ranges):
        return vector[:0]
    return np.concatenate([vector[start : start + length] for start, length in ranges])


def put(vector: NDArray[Any], ranges: Ranges, values: NDArray[Any]) -> None:
    """Write values into the ranges of a vector, in place."""
    done = 0
    for start, length in ranges:
        vector[start : start + length] = values[done : done + length]
        done += length
