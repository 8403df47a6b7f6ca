"""Make and read certificates: of the authority that clinics pin, and of the server that it vouches for."""

from __future__ import annotations

import ipaddress
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dermafed.shared.errors import InputError, StorageError
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

CA_KEY, CA_CERTIFICATE = "ca.key", "ca.pem"
SERVER_KEY, SERVER_CERTIFICATE = "server.key", "server.pem"

CA_DAYS, SERVER_DAYS = 3650, 397
_LOCAL = ("localhost", "127.0.0.1", "::1")
_SLACK = timedelta(days=1)  # another machine's clock may be behind


def make_authority(folder: Path, name: str) -> None:
    """Make an authority: an EC P-384 key and a certificate that it signs itself.

    Args:
        folder: the folder for the files; made if it does not exist.
        name: name of the federation or clinic, for the certificate.

    Raises:
        StorageError: the files cannot be written.
    """
    make_private_folder(folder)
    key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"DermaFed {name}")])
    builder = (
        _certificate(subject, subject, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    write_private(folder / CA_KEY, _key_pem(key))
    write_private(folder / CA_CERTIFICATE, _pem(builder.sign(key, hashes.SHA384())))


def issue_server_certificate(folder: Path, hosts: Sequence[str]) -> x509.Certificate:
    """Issue the server's certificate, or renew it for the same key.

    A renewal replaces one file in one step, so that key and certificate always belong together.

    Args:
        folder: the folder with the authority's files.
        hosts: names and IP addresses of the server; this machine's local ones are added.

    Returns:
        The certificate.

    Raises:
        StorageError: a file cannot be read or written.
    """
    authority = load_certificate(folder / CA_CERTIFICATE)
    key = _server_key(folder)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    names = [_general_name(host) for host in dict.fromkeys((*hosts, *_LOCAL))]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(authority))
    builder = (
        _certificate(name, authority.subject, key.public_key(), SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
    )
    certificate = builder.sign(_load_key(folder / CA_KEY), hashes.SHA384())
    write_private(folder / SERVER_CERTIFICATE, _pem(certificate))
    return certificate


def load_certificate(path: Path) -> x509.Certificate:
    """Load the certificate in a file.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        raise _damaged(path) from error


def read_ca(pem: str) -> x509.Certificate:
    """Read the certificate of an authority, as a clinic pins it, from a PEM text.

    Raises:
        InputError: it is not one certificate of an authority.
    """
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem.encode())
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise _no_authority() from error
    if not constraints.ca:
        raise _no_authority()
    return certificate


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hexadecimal, in 16 groups of 4 that two people can compare by telephone.

    ``openssl x509 -in ca.pem -noout -fingerprint -sha256`` gives the same digits.
    """
    return " ".join(textwrap.wrap(certificate.fingerprint(hashes.SHA256()).hex(), 4))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _server_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    path = folder / SERVER_KEY
    if not path.exists():
        write_private(path, _key_pem(ec.generate_private_key(ec.SECP384R1())))
    return _load_key(path)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise _damaged(path) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _damaged(path)
    return key


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # make_authority's
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"Cannot read: {error.strerror}", where=path, remedy="Restore the folder from your backup"
        ) from error


def _damaged(path: Path) -> StorageError:
    return StorageError("This file cannot be read", where=path, remedy="Restore it from your backup")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _no_authority() -> InputError:
    return InputError(
        "This is not the certificate of one authority",
        where="CA certificate",
        remedy="Use the one that fl-server init made, unchanged",
    )
