"""TLS for the DICOM port and for what is sent."""

from __future__ import annotations

import ssl

from dermafed.client.clinic.dicom.settings import DicomSettings
from dermafed.shared.errors import SettingsError


def server_side(settings: DicomSettings) -> ssl.SSLContext | None:
    """What the port speaks; ``None`` is plain.

    Raises:
        SettingsError: a file cannot be used.
    """
    return _context(settings, ssl.Purpose.CLIENT_AUTH)


def client_side(settings: DicomSettings) -> ssl.SSLContext | None:
    """What answers are sent by; ``None`` is plain.

    Raises:
        SettingsError: a file cannot be used.
    """
    return _context(settings, ssl.Purpose.SERVER_AUTH)


def _context(settings: DicomSettings, purpose: ssl.Purpose) -> ssl.SSLContext | None:
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
