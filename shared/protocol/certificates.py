"""A federation's CA certificate, as a clinic pins it."""

from __future__ import annotations

import textwrap

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from dermafed.shared.errors import InputError


def read_ca(pem: str) -> x509.Certificate:
    """The certificate in a PEM text.

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


def _no_authority() -> InputError:
    return InputError(
        "This is not the certificate of one authority",
        where="CA certificate",
        remedy="Take the one that fl-server init made, unchanged",
    )
