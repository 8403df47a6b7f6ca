"""Masks: as many random numbers modulo 2**32 as a vector has, from a secret of 32 bytes.

The numbers are the keystream of AES-256 in counter mode (NIST SP 800-38A, 6.5) under a key that HKDF
(RFC 5869) derives from the secret for one session and purpose: no two masks have the same key.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from dermafed.shared.secure_sum.hashing import framed
from dermafed.shared.secure_sum.packing import packed_indices

Ring = NDArray[np.uint32]
"""Numbers modulo 2**32, (P,)."""

KEY_BYTES = 32

_BLOCK = 64 * 1024  # numbers at a time: 256 KiB stay in the processor's cache
_ZEROS = bytes(4 * _BLOCK)
_SPARE = 15  # bytes that the cipher wants beyond its output
_COUNTER = bytes(16)  # from 0: each key has one keystream


def derive_key(secret: bytes, session: bytes, purpose: str, *clinics: int) -> bytes:
    """A key of 32 bytes for one purpose of one session.

    Args:
        secret: what only those know who shall know the key.
        session: digest of the session, 32 bytes.
        purpose: such as ``pair mask``.
        clinics: those whom it concerns, by their places in the roster.
    """
    info = framed(purpose, packed_indices(clinics))
    return HKDF(SHA256(), length=KEY_BYTES, salt=session, info=info).derive(secret)


def add_mask(vector: Ring, key: bytes, *, subtract: bool = False) -> None:
    """Add the mask of a key to a vector, modulo 2**32 and in place.

    Args:
        vector: contiguous uint32 (P,).
        key: 32 bytes, used for nothing else.
        subtract: take the mask away instead.
    """
    combine = np.subtract if subtract else np.add
    stream = Cipher(AES(key), CTR(_COUNTER)).encryptor()
    buffer = np.empty(len(_ZEROS) + _SPARE, np.uint8)
    mask = buffer[: len(_ZEROS)].view("<u4")
    for start in range(0, vector.size, _BLOCK):
        part = vector[start : start + _BLOCK]
        stream.update_into(memoryview(_ZEROS)[: 4 * part.size], buffer.data)
        combine(part, mask[: part.size], out=part)


def add_pair_mask(
    vector: Ring, secret: bytes, session: bytes, clinic: int, peer: int, *, subtract: bool = False
) -> None:
    """Add to a clinic's vector its mask with a peer, whose own vector gets the opposite one.

    Args:
        vector: contiguous uint32 (P,).
        secret: what the two have agreed on (X25519).
        session: digest of the session.
        clinic: whose vector it is.
        peer: the other one.
        subtract: take the mask away instead.
    """
    first, second = sorted((clinic, peer))
    key = derive_key(secret, session, "pair mask", first, second)
    add_mask(vector, key, subtract=subtract != (clinic > peer))


def add_self_mask(vector: Ring, seed: bytes, session: bytes, clinic: int, *, subtract: bool = False) -> None:
    """Add to a clinic's vector the mask of its own seed, which is opened only if it is in the sum."""
    add_mask(vector, derive_key(seed, session, "self mask", clinic), subtract=subtract)
