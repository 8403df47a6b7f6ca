"""Step 1: each clinic's two fresh public keys, signed with its enrolment key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.shared.secure_sum.hashing import DIGEST_BYTES, digest, framed
from dermafed.shared.secure_sum.packing import (
    INDEX_BYTES,
    Kind,
    Unpacker,
    packed,
    packed_index,
)
from dermafed.shared.secure_sum.signing import SIGNATURE_BYTES, is_signed, sign

KEY_BYTES = 32
_ADVERT_BYTES = INDEX_BYTES + 2 * KEY_BYTES + DIGEST_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True)
class Advert:
    """A clinic's public keys for one attempt.

    Attributes:
        clinic: its place in the roster.
        share_key: X25519, under which shares are sealed for it; 32 bytes.
        mask_key: X25519, from which its masks with others follow; 32 bytes.
        commitment: to a part of the graph's seed (:mod:`.reveals`), 32 bytes; zeros where none is drawn.
        signature: 96 bytes, of all this and the key context.
    """

    clinic: int
    share_key: bytes
    mask_key: bytes
    commitment: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """The message, 196 bytes."""
        return packed(Kind.ADVERT, self.record())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed.
        """
        fields = Unpacker(data, Kind.ADVERT)
        advert = cls.from_record(fields.take(_ADVERT_BYTES))
        fields.end()
        return advert

    def record(self) -> bytes:
        """The fields, one after the other."""
        keys = self.share_key + self.mask_key + self.commitment
        return packed_index(self.clinic) + keys + self.signature

    @classmethod
    def from_record(cls, record: bytes) -> Self:
        """Decode :meth:`record`."""
        ends = (INDEX_BYTES, *(INDEX_BYTES + by for by in (32, 64, 96)), _ADVERT_BYTES)
        first, *fields = (record[start:end] for start, end in zip((0, *ends), ends, strict=False))
        return cls(int.from_bytes(first, "big"), *fields)


@dataclass(frozen=True)
class Cohort:
    """The adverts of all clinics that take part, in ascending order.

    Attributes:
        adverts: each with another place in the roster.
    """

    adverts: tuple[Advert, ...]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the message, 32 bytes."""
        return digest("cohort", self.to_bytes())

    def to_bytes(self) -> bytes:
        """The message, 2 bytes and 194 for each clinic."""
        return packed(Kind.COHORT, *(advert.record() for advert in self.adverts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        fields = Unpacker(data, Kind.COHORT)
        adverts = tuple(map(Advert.from_record, fields.records(_ADVERT_BYTES)))
        fields.ascending([advert.clinic for advert in adverts])
        return cls(adverts)


def sign_advert(key: ec.EllipticCurvePrivateKey, context: bytes, unsigned: Advert) -> Advert:
    """The advert with its signature; ``context`` is the key context's digest."""
    signature = sign(key, _signed_text(context, unsigned))
    return Advert(unsigned.clinic, unsigned.share_key, unsigned.mask_key, unsigned.commitment, signature)


def is_signed_advert(key: ec.EllipticCurvePublicKey, context: bytes, advert: Advert) -> bool:
    """Whether the owner of the key signed the advert, for this context."""
    return is_signed(key, advert.signature, _signed_text(context, advert))


def _signed_text(context: bytes, advert: Advert) -> bytes:
    fields = packed_index(advert.clinic), advert.share_key, advert.mask_key, advert.commitment
    return framed("advert", context, *fields)
