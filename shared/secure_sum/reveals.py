"""Step 1b, above 64 clinics or with groups: the seed of the graph, drawn by commitment and reveal.

Each clinic commits to 32 random bytes in its advert. Then the first f + 1 of those who sent one, of whom one
at least does not act with the server, open their commitments, once each has seen the whole cohort; they sign
it, so that no other cohort has these parts. The seed is the hash of all. A part that is missing ends the
attempt: whoever could choose among parts could choose the graph.

Of groups, all that sent keys draw: a clinic opens its commitment for one cohort, and any two cohorts have an
honest clinic in common, so that an attempt has one drawing, however the server chooses its cohorts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.shared.secure_sum.adverts import Cohort
from dermafed.shared.secure_sum.hashing import DIGEST_BYTES, digest, framed
from dermafed.shared.secure_sum.packing import INDEX_BYTES, Kind, Unpacker, packed, packed_index
from dermafed.shared.secure_sum.signing import SIGNATURE_BYTES, is_signed, sign

_RECORD_BYTES = INDEX_BYTES + DIGEST_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True)
class Reveal:
    """A clinic's part of the graph's seed.

    Attributes:
        clinic: its place in the roster.
        part: the 32 bytes that it committed to.
        signature: 96 bytes, of this and the cohort.
    """

    clinic: int
    part: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """The message, 132 bytes."""
        return packed(Kind.REVEAL, self.record())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed.
        """
        fields = Unpacker(data, Kind.REVEAL)
        reveal = cls.from_record(fields.take(_RECORD_BYTES))
        fields.end()
        return reveal

    def record(self) -> bytes:
        """The fields, one after the other."""
        return packed_index(self.clinic) + self.part + self.signature

    @classmethod
    def from_record(cls, record: bytes) -> Self:
        """Decode :meth:`record`."""
        end = INDEX_BYTES + DIGEST_BYTES
        return cls(int.from_bytes(record[:INDEX_BYTES], "big"), record[INDEX_BYTES:end], record[end:])


@dataclass(frozen=True)
class Reveals:
    """The parts of the graph's seed, in ascending order of the clinics; none where all pairs share masks.

    Attributes:
        reveals: one of each clinic that :func:`revealing` names.
    """

    reveals: tuple[Reveal, ...]

    def to_bytes(self) -> bytes:
        """The message, 2 bytes and 130 for each part."""
        return packed(Kind.REVEALS, *(reveal.record() for reveal in self.reveals))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        fields = Unpacker(data, Kind.REVEALS)
        reveals = tuple(map(Reveal.from_record, fields.records(_RECORD_BYTES)))
        fields.ascending([reveal.clinic for reveal in reveals])
        return cls(reveals)


def revealing(cohort: Cohort, drawing: int) -> tuple[int, ...]:
    """Who draws the seed: the first so many, of whom one at least does not act with the server."""
    return tuple(advert.clinic for advert in cohort.adverts[:drawing])


def commit(context: bytes, clinic: int, part: bytes) -> bytes:
    """The commitment to a part of the seed, 32 bytes; ``context`` is the key context's digest."""
    return digest("commitment", context, packed_index(clinic), part)


def sign_reveal(
    key: ec.EllipticCurvePrivateKey, context: bytes, cohort: Cohort, clinic: int, part: bytes
) -> Reveal:
    """A clinic's part of the seed, for this cohort only."""
    return Reveal(clinic, part, sign(key, _signed_text(context, cohort, clinic, part)))


def is_revealed(key: ec.EllipticCurvePublicKey, context: bytes, cohort: Cohort, reveal: Reveal) -> bool:
    """Whether a clinic of the cohort committed to this part, and opened it for this cohort."""
    commitments = {advert.clinic: advert.commitment for advert in cohort.adverts}
    if commitments.get(reveal.clinic) != commit(context, reveal.clinic, reveal.part):
        return False
    return is_signed(key, reveal.signature, _signed_text(context, cohort, reveal.clinic, reveal.part))


def _signed_text(context: bytes, cohort: Cohort, clinic: int, part: bytes) -> bytes:
    return framed("reveal", context, cohort.digest, packed_index(clinic), part)
