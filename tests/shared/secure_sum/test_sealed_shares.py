from __future__ import annotations

import hashlib
import hmac
from itertools import product

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dermafed.shared.secure_sum.sealed_shares import SEALED_BYTES, SharePair, seal, unseal

PAIR = SharePair(b"a" * 33, b"b" * 33)
AGREED, SESSION = b"k" * 32, b"s" * 32


def framed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in (b"DermaFed secure sum 1", *fields))


def test_shares_are_sealed_as_the_documents_say() -> None:
    """By AES-256-GCM under a key for one direction, with session, dealer and holder authenticated."""
    sealed = seal(PAIR, AGREED, SESSION, 258, 1)
    assert len(sealed) == SEALED_BYTES == 94
    info = framed(b"shares", b"\1\2\0\1")
    key = hmac.digest(hmac.digest(SESSION, AGREED, hashlib.sha256), info + b"\1", hashlib.sha256)
    about = framed(b"shares", SESSION, b"\1\2", b"\0\1")
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], about) == b"a" * 33 + b"b" * 33


def test_shares_are_opened_by_their_holder_in_their_session_only() -> None:
    sealed = seal(PAIR, AGREED, SESSION, 1, 2)
    ways = product((AGREED, b"l" * 32), (SESSION, b"t" * 32), (1, 2, 3), (1, 2, 3))
    opened = [way for way in ways if unseal(sealed, *way) is not None]
    assert opened == [(AGREED, SESSION, 1, 2)]
    assert unseal(sealed, AGREED, SESSION, 1, 2) == PAIR
    assert seal(PAIR, AGREED, SESSION, 1, 2) != sealed  # a fresh nonce
