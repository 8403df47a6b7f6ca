"""A clinic's secrets of one attempt, and what it agrees on with a peer; they are never on a disk."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.shamir import SECRET_BYTES


@dataclass(frozen=True)
class RoundSecrets:
    """Fresh for each attempt.

    Attributes:
        share_key: private X25519 key, by which it reads the shares that it holds; 32 bytes.
        mask_key: private X25519 key of its masks with peers; opened if it drops out.
        self_seed: seed of its own mask; opened if it is in the sum.
        seed_part: its part of the graph's seed.
    """

    share_key: bytes = field(repr=False)
    mask_key: bytes = field(repr=False)
    self_seed: bytes = field(repr=False)
    seed_part: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        """From the operating system's generator."""
        return cls(*(secrets.token_bytes(SECRET_BYTES) for _ in range(4)))


def public_key(private: bytes) -> bytes:
    """The public X25519 key of a private one, both 32 bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes) -> bytes:
    """What two owners of X25519 keys agree on (RFC 7748), 32 bytes.

    Raises:
        FederationError: the peer's key is one with which anybody would agree.
    """
    try:
        peer = X25519PublicKey.from_public_bytes(public)
        return X25519PrivateKey.from_private_bytes(private).exchange(peer)
    except ValueError as error:
        raise FederationError(
            "A peer's key is not a usable X25519 key",
            where="secure sum",
            remedy="Leave that clinic out, and begin the round again",
        ) from error
