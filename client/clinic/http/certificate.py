"""The certificate of the HTTP server: the clinic's own files, or one that the node makes."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.certificates import (
    CA_CERTIFICATE,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    certificate_fingerprint,
    issue_server_certificate,
    load_certificate,
    make_authority,
)
from dermafed.shared.storage.atomic_files import check_private


@dataclass(frozen=True, slots=True)
class Certificate:
    """The server's certificate, and the authority that browsers and devices must trust.

    Attributes:
        chain: PEM file of the certificate and those between it and its authority.
        key: PEM file.
        authority: PEM file of the authority that the node made; ``None`` with the clinic's own files.
    """

    chain: Path
    key: Path
    authority: Path | None = None

    @property
    def fingerprint(self) -> str:
        """Of the authority if the node made it, else of the certificate."""
        return certificate_fingerprint(load_certificate(self.authority or self.chain))

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later with this certificate.

        Raises:
            SettingsError: the files do not fit together.
            StorageError: others may read the key, or it is missing.
        """
        check_private(self.key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.chain, self.key, password="")
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                "The certificate and its key cannot be used",
                where=self.chain,
                remedy="Give a PEM certificate with its chain, and its key without a password",
            ) from error
        return context


def certificate_for(folder: Path, clinic: str, hosts: Sequence[str], settings: ServeSettings) -> Certificate:
    """The clinic's own certificate, or a fresh one of the node's authority, which is made at the first start.

    Args:
        folder: folder of the node's authority.
        clinic: name of the clinic, for the certificate.
        hosts: names and addresses by which this machine is reached.
        settings: the clinic's own files, if it has any.

    Raises:
        StorageError: the folder cannot be read or written.
    """
    if settings.certificate is not None and settings.key is not None:
        return Certificate(settings.certificate, settings.key)
    if not (folder / CA_CERTIFICATE).exists():
        make_authority(folder, clinic)
    issue_server_certificate(folder, hosts)
    return Certificate(folder / SERVER_CERTIFICATE, folder / SERVER_KEY, folder / CA_CERTIFICATE)
