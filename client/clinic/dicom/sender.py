"""Send heatmaps and reports back by C-STORE; what cannot be delivered is sent again later."""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ComprehensiveSRStorage  # type: ignore[attr-defined]

from dermafed.client.clinic.dicom.dicom_settings import DicomSettings, Peer, tls_context
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

log = logging.getLogger("dermafed.dicom")

_ID = re.compile(r"[0-9a-f]{32}")

_RETRY_SECONDS = (5.0, 600.0)  # at first, and at most: twice as long after each failure
_GIVE_UP_SECONDS = 7 * 86400.0
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_TIMEOUT_SECONDS = 60.0


class _Undelivered(Exception):
    """The peer did not accept an answer, and may later."""


class AnswerSender:
    """Sends the answers of diagnoses to a peer, in a thread of its own."""

    def __init__(self, service: DiagnosticService, settings: DicomSettings, peer: Peer, folder: Path) -> None:
        """Start to send what waits in the folder and what is added.

        Args:
            service: has the diagnoses, and draws their heatmaps.
            settings: AE title and TLS.
            peer: where to send.
            folder: folder of what waits; made if it is missing.

        Raises:
            SettingsError: a file of the TLS settings cannot be used.
            StorageError: the folder cannot be made.
        """
        self._service, self._peer, self._outbox = service, peer, Outbox(folder)
        self._tls = tls_context(settings, ssl.Purpose.SERVER_AUTH)
        self._ae = _application(settings)
        self._wake, self._stopped = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="dicom answers", daemon=True)
        self._thread.start()

    def add(self, id: str) -> None:
        """Queue the answers of a diagnosis; on the disk when this returns."""
        self._outbox.add(id)
        self._wake.set()

    def stop(self) -> None:
        """End the thread; what waits is sent after the next start."""
        self._stopped = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        """Send what waits; after each failure, wait twice as long."""
        delay = _RETRY_SECONDS[0]
        while not self._stopped:
            self._wake.clear()
            try:
                self._send_all()
                delay = _RETRY_SECONDS[0]
                self._wake.wait()
            except Exception as error:  # no failure may end the thread
                log.warning("Answers to %s wait: %s", self._peer.ae_title, type(error).__name__)
                self._wake.wait(delay)
                delay = min(2 * delay, _RETRY_SECONDS[1])

    def _send_all(self) -> None:
        for id, age in self._outbox.waiting():
            if self._stopped:
                return
            if age > _GIVE_UP_SECONDS:
                log.error("The answers of diagnosis %s were never accepted; given up", id)
            else:
                self._send(id, self._build(id))
            self._outbox.remove(id)

    def _build(self, id: str) -> list[Dataset]:
        try:
            return [self._service.dicom_answer(id, "sc"), self._service.dicom_answer(id, "sr")]
        except Exception as error:  # forgotten or expired; or a fault, which would stop all the others
            why = getattr(error, "code", type(error).__name__)
            log.error("The answers of diagnosis %s cannot be built: %s", id, why)
            return []

    def _send(self, id: str, objects: list[Dataset]) -> None:
        if not objects:
            return
        association = self._associate()
        try:
            for each in objects:
                _store(association, each, id)
        finally:
            association.release()

    def _associate(self) -> Association:
        association = self._ae.associate(
            self._peer.host,
            self._peer.port,
            ae_title=self._peer.ae_title,
            tls_args=None if self._tls is None else (self._tls, self._peer.host),
        )
        if not association.is_established:
            raise _Undelivered
        return association


def _store(association: Association, answer: Dataset, id: str) -> None:
    try:
        status = association.send_c_store(answer).get("Status")
    except ValueError:  # the peer accepts no such objects
        status = 0x0122
    if status is None or status & 0xFF00 == 0xA700:
        raise _Undelivered
    if status and status & 0xF000 != 0xB000:  # neither success nor a warning
        log.error("An answer of diagnosis %s was refused with 0x%04X", id, status)


def _application(settings: DicomSettings) -> AE:
    ae = AE(settings.ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = _TIMEOUT_SECONDS
    for sop_class in (SecondaryCaptureImageStorage, ComprehensiveSRStorage):
        ae.add_requested_context(sop_class, _SYNTAXES)
    return ae


class Outbox:
    """A folder of what is still to be sent, an empty file for each diagnosis; safe for many threads."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Args:
            folder: made if it is missing.

        Raises:
            StorageError: it cannot be made.
        """
        make_folder(folder)
        self._folder = folder

    def add(self, id: str) -> None:
        """Add a diagnosis whose answers are to be sent; on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        write_atomically(self._folder / id, b"")

    def waiting(self) -> list[tuple[str, float]]:
        """The ids that wait, and for how many seconds; oldest first."""
        files = [path for path in self._folder.iterdir() if _ID.fullmatch(path.name)]
        return sorted(((path.name, _age(path)) for path in files), key=lambda each: -each[1])

    def remove(self, id: str) -> None:
        """Remove a diagnosis: its answers wait no longer."""
        (self._folder / id).unlink(missing_ok=True)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
