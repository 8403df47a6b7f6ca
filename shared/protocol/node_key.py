"""A clinic's key pair, by its public half: what the coordinator gets to see, and how it is recognised."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey

from dermafed.shared.errors import InputError, StorageError

KEY_TYPE = "ecdsa-sha2-nistp384"
"""The kind of key that Flower's nodes sign with, as OpenSSH calls it."""

_LONGEST = 4096  # bytes; a key has about 200


def read_public_key(path: Path) -> str:
    """Read the ``.pub`` file of a clinic.

    Returns:
        The key in OpenSSH's format on one line, without its comment, which may name a person.

    Raises:
        StorageError: the file cannot be read.
        InputError: it holds no EC P-384 public key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode("utf-8", "replace")
    except OSError as error:
        raise StorageError(
            f"The key cannot be read: {error.strerror}", where=path, remedy="Give the clinic's key.pub"
        ) from error
    if "PRIVATE KEY" in text:
        raise InputError(
            "This is a private key, which must not leave the clinic",
            where=path,
            remedy="Delete this copy, make a new key at the clinic, and ask for its key.pub",
        )
    try:
        return checked(text)
    except InputError as error:
        raise InputError(error.what, where=path, remedy=error.remedy) from error


def checked(public_key_openssh: str) -> str:
    """The key on one line, without its comment.

    Raises:
        InputError: it is no EC P-384 public key in OpenSSH's format.
    """
    _load(public_key_openssh)
    return " ".join(public_key_openssh.split()[:2])


def fingerprint(public_key_openssh: str) -> str:
    """``SHA256:...``, as ``ssh-keygen -l`` prints it.

    Raises:
        InputError: it is no EC P-384 public key in OpenSSH's format.
    """
    blob = base64.b64decode(checked(public_key_openssh).split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def to_pem(public_key_openssh: str) -> bytes:
    """The key as Flower stores it: PEM, SubjectPublicKeyInfo.

    Raises:
        InputError: it is no EC P-384 public key in OpenSSH's format.
    """
    encoding, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return _load(public_key_openssh).public_bytes(encoding, kind)


def _load(text: str) -> EllipticCurvePublicKey:
    try:
        key = serialization.load_ssh_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm, IndexError):
        key = None
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP384R1) and _is_one_line(text):
        return key
    raise InputError(
        "This is no EC P-384 public key in OpenSSH's format",
        where="key",
        remedy="Give the key.pub that fl-client init made",
    )


def _is_one_line(text: str) -> bool:
    return len(text.strip().splitlines()) == 1
