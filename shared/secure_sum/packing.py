"""Bytes of the messages: a version, a kind, and fields of fixed size; whatever else is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import pairwise

from dermafed.shared.errors import FederationError

VERSION = 1
INDEX_BYTES = 2


class Kind(IntEnum):
    """The kinds of messages, each with its number on the wire."""

    ADVERT = 1
    COHORT = 2
    REVEAL = 3
    REVEALS = 4
    DEALT_SHARES = 5
    DELIVERED_SHARES = 6
    MASKED_VECTOR = 7
    SURVIVORS = 8
    SIGNED_SURVIVORS = 9
    SIGNATURES = 10
    RELEASED_SHARES = 11
    CODED_VECTOR = 12


def packed(kind: Kind, *fields: bytes) -> bytes:
    """The bytes of a message: version, kind, fields."""
    return b"".join((bytes((VERSION, kind)), *fields))


def packed_index(index: int) -> bytes:
    """A clinic's place in the roster as two bytes, the high one first."""
    return index.to_bytes(INDEX_BYTES, "big")


def packed_indices(indices: Iterable[int]) -> bytes:
    """Several clinics' places, one after the other."""
    return b"".join(map(packed_index, indices))


class Unpacker:
    """Takes a message apart, field by field; nothing in it is trusted.

    Args:
        data: the whole message.
        kind: what it must be.

    Raises:
        FederationError: it is of another kind or version.
    """

    def __init__(self, data: bytes, kind: Kind) -> None:
        self._kind = kind
        if data[:2] != bytes((VERSION, kind)):
            raise malformed(kind, "is of another kind or version")
        self._left = memoryview(data)[2:]

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes.

        Raises:
            FederationError: there are fewer.
        """
        if len(self._left) < size:
            raise malformed(self._kind, f"ends {size - len(self._left)} bytes too early")
        field, self._left = self._left[:size], self._left[size:]
        return bytes(field)

    def index(self) -> int:
        """The next field, a clinic's place in the roster.

        Raises:
            FederationError: the message ends before.
        """
        return int.from_bytes(self.take(INDEX_BYTES), "big")

    def rest(self) -> memoryview:
        """All that is left."""
        field, self._left = self._left, self._left[len(self._left) :]
        return field

    def records(self, size: int) -> list[bytes]:
        """All that is left, in records of equal size.

        Raises:
            FederationError: the last record is not whole.
        """
        if len(self._left) % size:
            raise malformed(self._kind, f"has {len(self._left) % size} bytes beyond its last whole record")
        data = bytes(self.rest())
        return [data[start : start + size] for start in range(0, len(data), size)]

    def end(self) -> None:
        """Refuse bytes that are left.

        Raises:
            FederationError: there are some.
        """
        if self._left:
            raise malformed(self._kind, f"has {len(self._left)} bytes too many")

    def ascending(self, indices: Sequence[int]) -> None:
        """Refuse clinics that are named twice or out of order: each message has one form.

        Raises:
            FederationError: they are not in ascending order.
        """
        if any(second <= first for first, second in pairwise(indices)):
            raise malformed(self._kind, "names clinics twice, or out of order")


def malformed(kind: Kind, why: str) -> FederationError:
    """The refusal of a message that cannot be read."""
    return FederationError(
        f"The message '{kind.name.lower().replace('_', ' ')}' {why}",
        where="secure sum",
        remedy="Install the same version of DermaFed at server and clinics, and begin the round again",
    )
