"""A clinic's key pair: make it, and read and recognise its public key, which the coordinator gets."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.shared.errors import InputError, StorageError
from dermafed.shared.storage.atomic_files import write_atomically, write_private

_LONGEST = 4096  # bytes; a key has about 200


def make_key_pair(private_key: Path, public_key: Path, comment: str) -> None:
    """Make an EC P-384 key pair, as Flower's nodes sign with, in two files of OpenSSH's format.

    Args:
        private_key: the file for the private key, readable for its owner only.
        public_key: the file for the public key.
        comment: the name at the end of the public key's line.

    Raises:
        StorageError: a file cannot be written.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    encoding, openssh = serialization.Encoding, serialization.PrivateFormat.OpenSSH
    write_private(private_key, key.private_bytes(encoding.PEM, openssh, serialization.NoEncryption()))
    public = key.public_key().public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    write_atomically(public_key, public + f" {comment}\n".encode())


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a clinic's private key, which :func:`make_key_pair` made.

    Raises:
        StorageError: the file cannot be read, or has no such key.
    """
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise StorageError(
            f"The clinic's private key cannot be read ({type(error).__name__})",
            where=path,
            remedy="Restore it from your backup",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StorageError("This is not an EC key", where=path, remedy="Restore the one of fl-client init")
    return key


def read_public_key(path: Path) -> str:
    """Read the ``.pub`` file of a clinic.

    Returns:
        The key in OpenSSH's format on one line, without its comment, which may name a person.

    Raises:
        StorageError: the file cannot be read.
        InputError: it has no EC P-384 public key.
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
        return check_public_key(text)
    except InputError as error:
        raise InputError(error.what, where=path, remedy=error.remedy) from error


def check_public_key(public_key_openssh: str) -> str:
    """The key on one line, without its comment.

    Raises:
        InputError: it is not an EC P-384 public key in OpenSSH's format.
    """
    _load(public_key_openssh)
    return " ".join(public_key_openssh.split()[:2])


def fingerprint(public_key_openssh: str) -> str:
    """``SHA256:...``, as ``ssh-keygen -l`` prints it.

    Raises:
        InputError: it is not an EC P-384 public key in OpenSSH's format.
    """
    blob = base64.b64decode(check_public_key(public_key_openssh).split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def to_pem(public_key_openssh: str) -> bytes:
    """The key as Flower stores it: PEM, SubjectPublicKeyInfo.

    Raises:
        InputError: it is not an EC P-384 public key in OpenSSH's format.
    """
    encoding, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return _load(public_key_openssh).public_bytes(encoding, kind)


def _load(text: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_ssh_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm, IndexError):
        key = None
    if (
        isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP384R1)
        and len(text.strip().splitlines()) == 1
    ):
        return key
    raise InputError(
        "This is not an EC P-384 public key in OpenSSH's format",
        where="key",
        remedy="Give the key.pub that fl-client init made",
    )
