"""The C-STORE receiver: success is answered when the diagnosis is on the disk, and not before."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from socketserver import BaseServer
from typing import cast

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from dermafed.client.clinic.dicom.bounds import bound
from dermafed.client.clinic.dicom.gate import Gate
from dermafed.client.clinic.dicom.secured import server_side
from dermafed.client.clinic.dicom.settings import DicomSettings
from dermafed.client.clinic.intake.dicom import SOP_CLASSES, TRANSFER_SYNTAXES
from dermafed.client.clinic.intake.receive import Quarantine
from dermafed.client.clinic.intake.refusals import SUCCESS, refusal_of
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.errors import SettingsError

log = logging.getLogger("dermafed.dicom")

_GREETING_SECONDS = 10.0  # for a connection to become an association
_IDLE_SECONDS = 60.0
_IN_HAND = 2  # objects decoded at one time: each may be hundreds of megabytes of pixels


class _Server(ThreadedAssociationServer):
    """Bounds connections that never associate; a slow TLS greeting keeps nobody waiting."""

    def verify_request(self, request: object, client_address: object) -> bool:
        return len(self.active_associations) < 4 * self.ae.maximum_associations

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        assert self.socket is not None, "it listens"
        connection, address = self.socket.accept()
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def shutdown(self) -> None:
        BaseServer.shutdown(self)  # pynetdicom's own looks for itself where only its other servers are
        self.server_close()


class _Storing:
    """Handles the C-STORE requests of all associations."""

    def __init__(self, gate: Gate, devices: dict[str, str], diagnosed: Callable[[str], None]) -> None:
        self._gate, self._devices, self._diagnosed = gate, devices, diagnosed
        self._places = threading.BoundedSemaphore(_IN_HAND)

    def __call__(self, event: evt.Event) -> int | Dataset:
        device = self._devices[event.assoc.requestor.ae_title]
        try:
            with self._places:
                self._take_in(event, device)
        except Exception as error:  # the sender gets an answer, whatever happened
            log.warning("C-STORE of %s: %s", device, getattr(error, "code", type(error).__name__))
            return _failed(error)
        return SUCCESS

    def _take_in(self, event: evt.Event, device: str) -> None:
        request = cast(C_STORE, event.request)
        announced = {
            "SOPClassUID": str(request.AffectedSOPClassUID),
            "SOPInstanceUID": str(request.AffectedSOPInstanceUID),
        }
        _, diagnosis = self._gate.take_in(_file_of(event, announced), device, announced)
        self._diagnosed(diagnosis.id)


def start_receiver(
    service: DiagnosticService,
    settings: DicomSettings,
    quarantine: Quarantine,
    diagnosed: Callable[[str], None] = lambda id: None,
) -> Callable[[], None]:
    """Opens the DICOM port: C-ECHO, and C-STORE of the objects that the intake takes.

    Args:
        service: diagnoses them.
        settings: of the port.
        quarantine: keeps an object that may show a name, from the object, why, and the device.
        diagnosed: called with every diagnosis before success is answered: to send its answers back.

    Returns:
        What closes the port; what is in hand then is not acknowledged.

    Raises:
        SettingsError: the port cannot be opened, or a file of its TLS cannot be used.
    """
    storing = _Storing(Gate(service, quarantine), settings.devices, diagnosed)
    limits = [settings.max_object_mib * 2**20, settings.object_seconds]
    try:
        server = _application(settings).make_server(
            (settings.host, settings.port),
            ssl_context=server_side(settings),
            evt_handlers=[(evt.EVT_C_STORE, storing), (evt.EVT_CONN_OPEN, bound, limits)],
            server_class=_Server,
        )
    except OSError as error:
        what = f"The DICOM port cannot be opened: {error.strerror}"
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(what, where=where, remedy="Choose another port or host") from error
    thread = threading.Thread(target=partial(server.serve_forever, 0.1), name="dicom port", daemon=True)
    thread.start()
    log.info("DICOM port %s of %s", server.server_address, settings.ae_title)
    return partial(_stop, server, thread)


def _application(settings: DicomSettings) -> AE:
    ae = AE(settings.ae_title)
    ae.require_called_aet = True
    ae.require_calling_aet = list(settings.devices)
    ae.maximum_associations = settings.associations
    ae.maximum_pdu_size = settings.max_pdu
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = _GREETING_SECONDS, _IDLE_SECONDS, _IDLE_SECONDS
    ae.add_supported_context(Verification)
    for sop_class in SOP_CLASSES:
        ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
    return ae


def _stop(server: ThreadedAssociationServer, thread: threading.Thread) -> None:
    server.shutdown()
    for association in server.active_associations:
        association.abort()
    thread.join()


def _file_of(event: evt.Event, announced: dict[str, str]) -> bytes:
    """The object as a file: for the same object the same bytes, with any version of pynetdicom."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(announced["SOPClassUID"])
    meta.MediaStorageSOPInstanceUID = UID(announced["SOPInstanceUID"])
    meta.TransferSyntaxUID = event.context.transfer_syntax
    meta.ImplementationClassUID = UID("2.25.265231287362906103461276474391583093241")
    return b"".join((b"\0" * 128, b"DICM", encode_file_meta(meta), event.encoded_dataset(include_meta=False)))


def _failed(error: Exception) -> Dataset:
    refused, answer = refusal_of(error), Dataset()
    answer.Status, answer.ErrorComment = refused.dicom_status, refused.what[:64]
    return answer
