"""Step 2: a clinic's shares of its two secrets, each pair sealed for its holder."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dermafed.shared.secure_sum.hashing import DIGEST_BYTES, framed
from dermafed.shared.secure_sum.masks import derive_key
from dermafed.shared.secure_sum.packing import INDEX_BYTES, Kind, Unpacker, packed, packed_index
from dermafed.shared.secure_sum.shamir import SHARE_BYTES

_NONCE_BYTES, _TAG_BYTES = 12, 16
SEALED_BYTES = _NONCE_BYTES + 2 * SHARE_BYTES + _TAG_BYTES


class SharePair(NamedTuple):
    """A holder's shares of a clinic's two secrets, 33 bytes each; it opens one of them at most.

    Attributes:
        self_seed: of the seed of its own mask.
        mask_key: of the key of its masks with peers.
    """

    self_seed: bytes
    mask_key: bytes


class SealedShare(NamedTuple):
    """A sealed pair of shares.

    Attributes:
        clinic: the other side, by its place in the roster: the holder in step 2's message to the server, the
            dealer in that from the server.
        sealed: 94 bytes.
    """

    clinic: int
    sealed: bytes


@dataclass(frozen=True)
class DealtShares:
    """What a clinic deals.

    Attributes:
        clinic: its place in the roster.
        seed_commitment: SHA-256 of its self seed, 32 bytes: the server notices shares that are not of it.
        shares: for each of its peers, in ascending order.
    """

    clinic: int
    seed_commitment: bytes
    shares: tuple[SealedShare, ...]

    def to_bytes(self) -> bytes:
        """The message, 36 bytes and 96 for each peer."""
        return packed(
            Kind.DEALT_SHARES, packed_index(self.clinic), self.seed_commitment, _packed(self.shares)
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        fields = Unpacker(data, Kind.DEALT_SHARES)
        clinic, commitment = fields.index(), fields.take(DIGEST_BYTES)
        return cls(clinic, commitment, _unpacked(fields))


@dataclass(frozen=True)
class DeliveredShares:
    """The shares that a clinic is to hold.

    Attributes:
        shares: of each peer that dealt, in ascending order.
    """

    shares: tuple[SealedShare, ...]

    def to_bytes(self) -> bytes:
        """The message, 2 bytes and 96 for each peer."""
        return packed(Kind.DELIVERED_SHARES, _packed(self.shares))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        return cls(_unpacked(Unpacker(data, Kind.DELIVERED_SHARES)))


def seal(pair: SharePair, agreed: bytes, session: bytes, dealer: int, holder: int) -> bytes:
    """Seal a pair of shares by AES-256-GCM; session, dealer and holder are authenticated with it.

    Args:
        pair: the shares.
        agreed: what the two clinics have agreed on.
        session: the session's digest.
        dealer: whose secrets they are of.
        holder: who may read them.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    cipher, about = _cipher(agreed, session, dealer, holder)
    return nonce + cipher.encrypt(nonce, b"".join(pair), about)


def unseal(sealed: bytes, agreed: bytes, session: bytes, dealer: int, holder: int) -> SharePair | None:
    """Undo :func:`seal`; ``None`` if it was made otherwise, or changed."""
    cipher, about = _cipher(agreed, session, dealer, holder)
    try:
        shares = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
    except InvalidTag:
        return None
    return SharePair(shares[:SHARE_BYTES], shares[SHARE_BYTES:])


def _cipher(agreed: bytes, session: bytes, dealer: int, holder: int) -> tuple[AESGCM, bytes]:
    """One key for each direction, and what is authenticated."""
    key = derive_key(agreed, session, "shares", dealer, holder)
    return AESGCM(key), framed("shares", session, packed_index(dealer), packed_index(holder))


def _packed(shares: tuple[SealedShare, ...]) -> bytes:
    return b"".join(packed_index(clinic) + sealed for clinic, sealed in shares)


def _unpacked(fields: Unpacker) -> tuple[SealedShare, ...]:
    records = fields.records(INDEX_BYTES + SEALED_BYTES)
    shares = [SealedShare(int.from_bytes(each[:INDEX_BYTES], "big"), each[INDEX_BYTES:]) for each in records]
    fields.ascending([share.clinic for share in shares])
    return tuple(shares)
