"""Receive DICOM objects by C-STORE; success is answered when the diagnosis is on the disk, not before."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import cast

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from dermafed.client.clinic.dicom.connections import CountingEntity, LimitedServer, disconnect
from dermafed.client.clinic.dicom.dicom_settings import DicomSettings, tls_context
from dermafed.client.clinic.dicom.instance import diagnose_instance
from dermafed.client.clinic.intake.dicom import SOP_CLASSES, TRANSFER_SYNTAXES
from dermafed.client.clinic.intake.refusals import SUCCESS, refusal_of
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.errors import SettingsError
from dermafed.shared.sockets import bind_all

log = logging.getLogger("dermafed.dicom")

_ASSOCIATION_SECONDS = 10.0  # for a connection to become an association
_IDLE_SECONDS = 60.0
_REQUEST_BYTES = 64 * 1024  # of the request for an association, from any sender
_CHUNK = 2**16
_AT_ONCE = 2  # objects decoded at one time: each may be hundreds of megabytes of pixels


class _StoreHandler:
    """Handler of the C-STORE requests of all associations."""

    def __init__(
        self, service: DiagnosticService, devices: dict[str, str], diagnosed: Callable[[str], None] | None
    ) -> None:
        self._service, self._devices, self._diagnosed = service, devices, diagnosed
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def __call__(self, event: evt.Event) -> int | Dataset:
        device = self._devices[event.assoc.requestor.ae_title]
        try:
            with self._slots:
                self._diagnose(event, device)
        except Exception as error:  # the sender gets an answer, whatever happened
            log.warning("C-STORE of %s: %s", device, getattr(error, "code", type(error).__name__))
            return _failure(error)
        return SUCCESS

    def _diagnose(self, event: evt.Event, device: str) -> None:
        request = cast(C_STORE, event.request)
        announced = {
            "SOPClassUID": str(request.AffectedSOPClassUID),
            "SOPInstanceUID": str(request.AffectedSOPInstanceUID),
        }
        _, diagnosis = diagnose_instance(self._service, _file_of(event, announced), device, announced)
        if self._diagnosed is not None:
            self._diagnosed(diagnosis.id)


def start_receiver(
    service: DiagnosticService,
    settings: DicomSettings,
    diagnosed: Callable[[str], None] | None = None,
) -> Callable[[], None]:
    """Open the DICOM port: C-ECHO, and C-STORE of the objects that the intake accepts.

    Args:
        service: diagnoses and saves.
        settings: settings of the port.
        diagnosed: is called with the id of every diagnosis before success is answered.

    Returns:
        A function that closes the port; requests in progress are then not acknowledged.

    Raises:
        SettingsError: the port cannot be opened, or a file of its TLS cannot be used.
    """
    handler = _StoreHandler(service, settings.devices, diagnosed)
    limits = [settings.max_object_mib * 2**20, settings.object_seconds]
    context = tls_context(settings, ssl.Purpose.CLIENT_AUTH)
    try:
        sockets = bind_all(settings.host, settings.port)
    except OSError as error:
        what = f"The DICOM port cannot be opened: {error.strerror}"
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(what, where=where, remedy="Choose another port or host") from error
    application, running = _application(settings), []
    for bound in sockets:
        server = application.make_server(
            bound.getsockname(),
            ssl_context=context,
            evt_handlers=[(evt.EVT_C_STORE, handler), (evt.EVT_CONN_OPEN, limit_messages, limits)],
            server_class=partial(LimitedServer, bound),  # type: ignore[arg-type]
        )
        thread = threading.Thread(target=partial(server.serve_forever, 0.1), name="dicom port", daemon=True)
        thread.start()
        running.append((server, thread))
        log.info("DICOM port %s of %s", server.server_address, settings.ae_title)
    return partial(_stop, running)


def _application(settings: DicomSettings) -> AE:
    ae = CountingEntity(settings.ae_title)
    ae.require_called_aet = True
    ae.require_calling_aet = list(settings.devices)
    ae.maximum_associations = settings.associations
    ae.maximum_pdu_size = settings.max_pdu
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = _ASSOCIATION_SECONDS, _IDLE_SECONDS, _IDLE_SECONDS
    ae.add_supported_context(Verification)
    for sop_class in SOP_CLASSES:
        ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
    return ae


def _stop(running: list[tuple[ThreadedAssociationServer, threading.Thread]]) -> None:
    for server, thread in running:
        server.shutdown()
        for association in server.active_associations:
            if association.is_established:
                association.abort()
            else:
                disconnect(association)
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


def _failure(error: Exception) -> Dataset:
    refused, answer = refusal_of(error), Dataset()
    answer.Status, answer.ErrorComment = refused.dicom_status, refused.what[:64]
    return answer


class MessageLimits:
    """Limits of one association: the bytes and the time of a message; beyond them the connection ends.

    pynetdicom itself reads on without a limit.
    """

    def __init__(self, socket: AssociationSocket, most: int, seconds: float) -> None:
        """Replace the socket's own reading.

        Args:
            socket: socket of the association.
            most: largest message in bytes.
            seconds: longest time for a message, from its first byte to its last.
        """
        self._socket, self._most, self._seconds = socket, most, seconds
        self._left, self._end = _REQUEST_BYTES, time.monotonic() + min(seconds, _ASSOCIATION_SECONDS)
        socket.recv = self._receive  # type: ignore[method-assign]

    def restart(self, _: evt.Event) -> None:
        """The next message begins."""
        self._left, self._end = self._most, float("inf")

    def _receive(self, nr_bytes: int) -> bytearray:
        self._end = min(self._end, time.monotonic() + self._seconds)
        self._left -= nr_bytes  # a unit states its length first: a false one costs nothing
        received = bytearray()
        try:
            while len(received) < nr_bytes and (part := self._part(nr_bytes - len(received))):
                received += part
        except OSError:
            self._socket.close()
            raise
        return received

    def _part(self, count: int) -> bytes:
        seconds, connection = self._end - time.monotonic(), self._socket.socket
        if self._left < 0 or seconds <= 0:
            raise OSError("a DICOM object beyond the limits")
        if connection is None:
            return b""
        connection.settimeout(seconds)
        return connection.recv(min(count, _CHUNK))


def limit_messages(event: evt.Event, most: int, seconds: float) -> None:
    """Handler of a connection that opens: limits its association; see :class:`MessageLimits`."""
    socket = event.assoc.dul.socket
    assert socket is not None, "a connection that is open has one"
    limits = MessageLimits(socket, most, seconds)
    for end_of_message in (evt.EVT_REQUESTED, evt.EVT_DIMSE_RECV):
        event.assoc.bind(end_of_message, limits.restart)
