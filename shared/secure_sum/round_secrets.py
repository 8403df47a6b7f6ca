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
        share_key: by which it reads the shares that it holds.
        mask_key: of its masks with peers; opened if it drops out.
        self_seed: seed of its own mask, 32 bytes; opened if it is in the sum.
        seed_part: its part of the graph's seed, 32 bytes.
    """

    share_key: X25519PrivateKey = field(repr=False)
    mask_key: X25519PrivateKey = field(repr=False)
    self_seed: bytes = field(repr=False)
    seed_part: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        """From the operating system's generator."""
        share_key, mask_key, self_seed, seed_part = (secrets.token_bytes(SECRET_BYTES) for _ in range(4))
        load = X25519PrivateKey.from_private_bytes
        return cls(load(share_key), load(mask_key), self_seed, seed_part)


def agree(private: X25519PrivateKey, public: bytes) -> bytes:
    """What two owners of X25519 keys agree on (RFC 7748), 32 bytes.

    Args:
        private: one's own key.
        public: the peer's, 32 bytes.

    Raises:
        FederationError: the peer's key is one with which anybody would agree.
    """
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise FederationError(
            "A peer's key is not a usable X25519 key",
            where="secure sum",
            remedy="Leave that clinic out, and begin the round again",
        ) from error


def public_bytes(private: X25519PrivateKey) -> bytes:
    """The public key of a private one, 32 bytes."""
    return private.public_key().public_bytes_raw()
