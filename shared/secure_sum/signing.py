"""Signatures with the clinics' enrolment keys: ECDSA on P-384 with SHA-384, 96 bytes (r, then s).

The signer's random number is derived from key and message (RFC 6979), so that no weak source of random
numbers gives away the enrolment key.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

SIGNATURE_BYTES = 96

_HALF = SIGNATURE_BYTES // 2


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """The signature of a message, 96 bytes; ``key`` is an EC P-384 key."""
    signature = key.sign(message, ec.ECDSA(SHA384(), deterministic_signing=True))
    return b"".join(number.to_bytes(_HALF, "big") for number in decode_dss_signature(signature))


def is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the owner of the key signed the message."""
    halves = signature[:_HALF], signature[_HALF:]
    try:
        encoded = encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))
        key.verify(encoded, message, ec.ECDSA(SHA384()))
    except InvalidSignature:
        return False
    return True
