"""Step 4: the list of clinics whose vectors are in the sum, which each of them signs, once a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from dermafed.shared.secure_sum.hashing import framed
from dermafed.shared.secure_sum.packing import (
    INDEX_BYTES,
    Kind,
    Unpacker,
    packed,
    packed_index,
    packed_indices,
)
from dermafed.shared.secure_sum.signing import SIGNATURE_BYTES


@dataclass(frozen=True)
class Survivors:
    """Who sent a masked vector.

    Attributes:
        clinics: their places in the roster, ascending.
    """

    clinics: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The message, 2 bytes and 2 for each clinic."""
        return packed(Kind.SURVIVORS, packed_indices(self.clinics))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        fields = Unpacker(data, Kind.SURVIVORS)
        clinics = [int.from_bytes(each, "big") for each in fields.records(INDEX_BYTES)]
        fields.ascending(clinics)
        return cls(tuple(clinics))

    def signed_text(self, session: bytes) -> bytes:
        """What is signed: the session and the list."""
        return framed("survivors", session, packed_indices(self.clinics))


class SignedSurvivors(NamedTuple):
    """A clinic's signature of the list.

    Attributes:
        clinic: its place in the roster.
        signature: 96 bytes.
    """

    clinic: int
    signature: bytes

    def to_bytes(self) -> bytes:
        """The message, 100 bytes."""
        return packed(Kind.SIGNED_SURVIVORS, packed_index(self.clinic), self.signature)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed.
        """
        fields = Unpacker(data, Kind.SIGNED_SURVIVORS)
        signed = cls(fields.index(), fields.take(SIGNATURE_BYTES))
        fields.end()
        return signed


@dataclass(frozen=True)
class Signatures:
    """The signatures of one list.

    Attributes:
        signed: in ascending order of the clinics.
    """

    signed: tuple[SignedSurvivors, ...]

    def to_bytes(self) -> bytes:
        """The message, 2 bytes and 98 for each signature."""
        return packed(Kind.SIGNATURES, *(packed_index(each.clinic) + each.signature for each in self.signed))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        fields = Unpacker(data, Kind.SIGNATURES)
        records = fields.records(INDEX_BYTES + SIGNATURE_BYTES)
        signed = [SignedSurvivors(int.from_bytes(each[:2], "big"), each[INDEX_BYTES:]) for each in records]
        fields.ascending([each.clinic for each in signed])
        return cls(tuple(signed))
