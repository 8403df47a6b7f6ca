"""Hashes of several fields, so that no two lists of fields have the same bytes."""

from __future__ import annotations

import hashlib

DIGEST_BYTES = 32

_DOMAIN = b"DermaFed secure sum 1"


def framed(purpose: str, *fields: bytes) -> bytes:
    """The bytes that are hashed or signed: protocol, purpose and fields, each with its length before it."""
    every = (_DOMAIN, purpose.encode(), *fields)
    return b"".join(len(field).to_bytes(4, "big") + field for field in every)


def digest(purpose: str, *fields: bytes) -> bytes:
    """SHA-256 of :func:`framed`, 32 bytes."""
    return hashlib.sha256(framed(purpose, *fields)).digest()
