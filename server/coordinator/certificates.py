"""Whether the server's certificate will do, and what the clinics pin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from dermafed.shared.errors import InputError, StorageError
from dermafed.shared.protocol.certificates import (
    CA_CERTIFICATE,
    CA_KEY,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    certificate_fingerprint,
    load_certificate,
    read_ca,
)
from dermafed.shared.storage.atomic_files import check_private

_RENEW = "Run: fl-server renew"
_RESTORE = "Restore the folder 'trust' from your backup"


def authority_pem(trust: Path) -> str:
    """The authority's certificate, as an invitation carries it.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return (trust / CA_CERTIFICATE).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            "The authority's certificate cannot be read", where=trust / CA_CERTIFICATE, remedy=_RESTORE
        ) from error


def authority_fingerprint(trust: Path) -> str:
    """The fingerprint that the coordinator and the clinics compare.

    Raises:
        InputError: the certificate cannot be read.
    """
    return certificate_fingerprint(read_ca(authority_pem(trust)))


def check_server_certificate(trust: Path, now: datetime | None = None) -> timedelta:
    """How long the server's certificate is still good.

    Args:
        trust: the folder.
        now: the time by which to judge; the clock's by default.

    Raises:
        InputError: a key is missing or open to others, the certificate comes from another authority, has
            expired, or is not valid yet.
    """
    for name in (CA_KEY, SERVER_KEY):
        check_private(trust / name)
    path, moment = trust / SERVER_CERTIFICATE, now or datetime.now(UTC)
    certificate, authority = load_certificate(path), load_certificate(trust / CA_CERTIFICATE)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise InputError(
            "The server's certificate is not of this federation's authority", where=path, remedy=_RENEW
        ) from error
    if moment < certificate.not_valid_before_utc:
        began = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise InputError(
            f"The server's certificate is not valid before {began}",
            where=path,
            remedy="Set this machine's clock",
        )
    _check_not_over("authority", authority, moment, trust / CA_CERTIFICATE, "Make a new federation")
    _check_not_over("server", certificate, moment, path, _RENEW)
    return certificate.not_valid_after_utc - moment


def _check_not_over(
    whose: str, certificate: x509.Certificate, moment: datetime, path: Path, remedy: str
) -> None:
    if moment > certificate.not_valid_after_utc:
        day = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise InputError(f"The {whose}'s certificate expired on {day}", where=path, remedy=remedy)
