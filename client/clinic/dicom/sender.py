"""Send heatmaps, reports and outlines back by C-STORE; what cannot be delivered is sent again later."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ComprehensiveSRStorage  # type: ignore[attr-defined]

from dermafed.client.clinic.answers.dicom_source import to_file
from dermafed.client.clinic.dicom.dicom_settings import DicomSettings, Peer, tls_context
from dermafed.client.clinic.dicom.outbox import Outbox
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService

log = logging.getLogger("dermafed.dicom")

_GONE = ("unknown", "no-longer-kept")  # forgotten, or expired
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
                failed = bool(self._outbox.failures())
            except Exception as error:  # no failure may end the thread
                log.warning("Answers to %s wait: %s", self._peer.ae_title, type(error).__name__)
                failed = True
            self._wake.wait(delay if failed else None)
            delay = min(2 * delay, _RETRY_SECONDS[1]) if failed else _RETRY_SECONDS[0]

    def _send_all(self) -> None:
        failures = self._outbox.failures()
        for id, age in self._outbox.waiting():
            if self._stopped:
                return
            objects, why = self._build(id)
            if why:
                self._outbox.add_failure(id, why)
                if failures.get(id) != why:
                    log.error("The answers of diagnosis %s cannot be made and wait: %s", id, why)
                continue
            if age > _GIVE_UP_SECONDS and id not in failures:
                log.error("The answers of diagnosis %s were never accepted; given up", id)
            else:
                self._send(id, objects)
            self._outbox.remove(id)

    def _build(self, id: str) -> tuple[list[Dataset], str]:
        """The answers of a diagnosis, or why they cannot be made; no answers if it is gone."""
        try:
            objects = [self._service.dicom_answer(id, kind) for kind in self._service.dicom_kinds(id)]
            for each in objects:
                to_file(each)  # what cannot be written would count as refused
        except Exception as error:  # a fault, which must not stop the others
            code = getattr(error, "code", type(error).__name__)
            if isinstance(error, Refused) and code in _GONE:
                log.warning("The answers of diagnosis %s are not sent: %s", id, code)
                return [], ""
            return [], code
        return objects, ""

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
    for sop_class in (SecondaryCaptureImageStorage, ComprehensiveSRStorage, SegmentationStorage):
        ae.add_requested_context(sop_class, _SYNTAXES)
    return ae
