"""The settings of DICOM: the table ``[serve.dicom]`` of ``clinic.toml``."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.protocol.invitation import is_host


class Peer(NamedTuple):
    """Another application entity."""

    ae_title: str
    host: str
    port: int


def _ae_title(text: str) -> str:
    """PS3.5, 6.2: printable ASCII without a backslash, no space at the ends."""
    if not re.fullmatch(r"[!-~](?:[ -~]{0,14}[!-~])?", text) or "\\" in text:
        raise ValueError("is not an AE title: 1 to 16 letters, digits or signs, without a backslash")
    return text


def _device(text: str) -> str:
    try:
        return check_name(text, "device")
    except SettingsError as error:
        raise ValueError("is not a device's name: " + error.remedy) from None


def _peer(value: object) -> object:
    if not isinstance(value, str):
        return value
    title, at, address = value.rpartition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and is_host(host.strip("[]")) and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("is not like AE@host:port")
    return Peer(_ae_title(title), host.strip("[]"), int(port))


AETitle = Annotated[str, AfterValidator(_ae_title)]


class DicomSettings(BaseModel):
    """The table ``[serve.dicom]``.

    Attributes:
        devices: AE titles that may send, and the name of the device of each.
        host: a name (all its addresses) or an IP address of this machine; ``0.0.0.0`` is all of IPv4, ``::``
            all of IPv4 and IPv6.
        port: 0 takes a free one.
        ae_title: AE title of the node.
        answer_to: where heatmap and report are sent, ``AE@host:port``; without it, nowhere.
        max_object_mib: largest object in MiB; beyond it the association is aborted.
        object_seconds: longest time for one object to arrive; then the association is aborted.
        associations: associations at one time; more are rejected.
        max_pdu: largest protocol data unit in bytes.
        certificate: PEM file; with it and the key the port speaks TLS, and answers are sent by TLS.
        key: its private key.
        ca: PEM file of the authority that must have signed peers' certificates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    devices: Annotated[dict[AETitle, Annotated[str, AfterValidator(_device)]], Field(min_length=1)]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 11112
    ae_title: AETitle = "DERMAFED"
    answer_to: Annotated[Peer | None, BeforeValidator(_peer)] = None
    max_object_mib: Annotated[int, Field(strict=True, ge=1, le=160)] = 64
    object_seconds: Annotated[int, Field(strict=True, ge=1)] = 60
    associations: Annotated[int, Field(strict=True, ge=1, le=64)] = 8
    max_pdu: Annotated[int, Field(strict=True, ge=4096, le=1048576)] = 131072
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> DicomSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.ca is not None and self.certificate is None:
            raise ValueError("ca needs certificate and key")
        return self

    def beside(self, folder: Path) -> DicomSettings:
        """The same, with relative paths resolved from this folder."""
        files = {name: getattr(self, name) for name in ("certificate", "key", "ca")}
        return self.model_copy(update={name: folder / path for name, path in files.items() if path})


def tls_context(settings: DicomSettings, purpose: ssl.Purpose) -> ssl.SSLContext | None:
    """The TLS context of the port (``CLIENT_AUTH``) or for sending answers (``SERVER_AUTH``).

    ``None`` without a certificate.

    Raises:
        SettingsError: a file cannot be used.
    """
    if settings.certificate is None:
        return None
    try:
        context = ssl.create_default_context(purpose, cafile=settings.ca)
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # what ssl raises is one, too
        what = "The DICOM port's certificate, key or authority cannot be used"
        raise SettingsError(what, where=settings.certificate, remedy="Give PEM files") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
