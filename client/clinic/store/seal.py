"""Encryption of all that the store keeps: AES-256-GCM, each text bound to its place."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12  # drawn at random: one key is good for 2**32 of them (NIST SP 800-38D, 8.3)


class Unsealable(ValueError):
    """Another key, another place, or other bytes than were sealed."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals bytes under one key.

    Attributes:
        key: 32 random bytes.
    """

    key: bytes = field(repr=False)

    def close(self, data: bytes, *place: str) -> bytes:
        """Encrypt bytes for a place, such as ``("image", id)``: elsewhere they cannot be opened."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, _in_one(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Decrypt what was sealed for this place.

        Raises:
            Unsealable: it was not, or not by this key, or it was changed.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _in_one(place))
        except (InvalidTag, ValueError) as error:
            raise Unsealable from error

    def close_json(self, value: Any, *place: str) -> bytes:
        """As :meth:`close`, of JSON types."""
        return self.close(json.dumps(value, allow_nan=False).encode(), *place)

    def open_json(self, sealed: bytes, *place: str) -> Any:
        """As :meth:`open`, of JSON types."""
        return json.loads(self.open(sealed, *place))

    def digest(self, *names: str) -> bytes:
        """HMAC-SHA-256 of names: who has no key can neither read nor guess them."""
        return hmac.digest(self._derived(b"digest"), _in_one(names), hashlib.sha256)

    @property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._derived(b"seal"))

    def _derived(self, use: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"dermafed store " + use).derive(self.key)


def _in_one(names: tuple[str, ...]) -> bytes:
    """Names as bytes; other names give other bytes."""
    return json.dumps(names).encode()
