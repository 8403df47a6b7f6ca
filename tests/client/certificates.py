"""Authorities and server certificates for tests."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A server's certificate, by its files."""

    ca: Path
    chain: Path
    key: Path


def certificate(folder: Path, name: str = "127.0.0.1", *, days: tuple[int, int] = (-1, 30)) -> Certificate:
    """A new authority and a certificate of it.

    Args:
        folder: made if it is not there.
        name: an IP address or a host's name.
        days: from when to when it is valid, from now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("test authority")
    ca = _builder(ca_name, ca_name, ca_key.public_key(), (-400, 400))
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    signed_ca = ca.add_extension(usage, critical=True).sign(ca_key, hashes.SHA256())
    leaf = _builder(_name("server"), ca_name, key.public_key(), days)
    leaf = leaf.add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
    signed = leaf.sign(ca_key, hashes.SHA256())
    made = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.ca.write_bytes(signed_ca.public_bytes(serialization.Encoding.PEM))
    made.chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now + timedelta(days[0])).not_valid_after(now + timedelta(days[1]))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
