"""``fl-client serve``: everything started in order, the ready line, and an end in good order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.http.app import build_app
from dermafed.client.clinic.http.certificate import Certificate, certificate_for
from dermafed.client.clinic.http.listening import Place, listen
from dermafed.client.clinic.http.model_facts import model_facts
from dermafed.client.clinic.http.serve_settings import read_serve_settings
from dermafed.client.clinic.http.tokens import TOKENS, Tokens
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home, read_settings
from dermafed.shared.errors import DermaFedError
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.storage.lock import lock_folder
from dermafed.shared.training.backend import configure_backend

OUTBOX = "dicom-answers"


@dataclass(frozen=True, slots=True)
class Ready:
    """What is told once the node answers.

    Attributes:
        address: of the page.
        model: in use.
        certificate: that it shows; ``None`` without TLS.
    """

    address: str
    model: ModelUsed
    certificate: Certificate | None


def serve(home: Home, model: str, place: Place, ready: Callable[[Ready], None]) -> None:
    """Serve a clinic until SIGTERM or Ctrl-C; requests in hand are finished.

    Args:
        home: the clinic's folder.
        model: see :func:`dermafed.client.clinic.diagnosis.opened_model.open_model`.
        place: where to listen.
        ready: called once the node answers.

    Raises:
        DermaFedError: it cannot start; names the reason.
    """
    settings, clinic = read_serve_settings(home.settings_file), read_settings(home).clinic
    names = place.names(settings)
    with (
        lock_folder(home.serving, patience=1.0),
        place.bound() as socket,
        open_store(home, settings.retention_days) as store,
    ):
        certificate = certificate_for(home.serving, clinic, names, settings) if place.tls else None
        context = None if certificate is None else certificate.context()
        configure_backend(1)
        opened = open_model(model, home)
        calibration = load_calibration(opened.file, opened.used.sha256)
        service = DiagnosticService(Diagnoser(opened), store, calibration)
        facts = model_facts(opened, calibration, clinic)
        app = build_app(service, Tokens(home.serving / TOKENS), facts, settings, names)
        told = Ready(place.address(socket), opened.used, certificate)
        companions = [expiring(store)]
        if settings.dicom is not None:
            companions.append(dicom_port(service, settings.dicom, home.serving / OUTBOX))
        if settings.mqtt is not None:
            companions.append(broker(service, settings.mqtt))
        listen(app, socket, context, settings, companions, lambda: ready(told))


@asynccontextmanager
async def dicom_port(
    service: DiagnosticService, settings: DicomSettings, outbox: Path
) -> AsyncIterator[None]:
    """C-STORE in, heatmaps and reports back out.

    Args:
        service: diagnoses.
        settings: of the port.
        outbox: the folder of answers that wait to be sent.

    Raises:
        SettingsError: the port cannot be opened, or a file of its TLS cannot be used.
    """
    from dermafed.client.clinic.dicom.receiver import start_receiver
    from dermafed.client.clinic.dicom.sender import start_answering

    answering = start_answering(service, settings, outbox)
    try:
        stop = start_receiver(service, settings, answering.add)
        try:
            yield
        finally:
            await asyncio.to_thread(stop)
    finally:
        await asyncio.to_thread(answering.stop)


@asynccontextmanager
async def broker(service: DiagnosticService, settings: MqttSettings) -> AsyncIterator[None]:
    """Images over MQTT, answered there.

    Raises:
        SettingsError: the authority's certificate cannot be read, or there is no password.
        StorageError: the password's file cannot be read, or others can read it.
    """
    from dermafed.client.clinic.mqtt.responder import run_mqtt

    settings.password(), settings.tls()
    session = asyncio.create_task(run_mqtt(service, settings))
    try:
        yield
    finally:
        session.cancel()
        with suppress(asyncio.CancelledError):
            await session


_DAY = 86400.0

log = logging.getLogger("dermafed.serving")


@asynccontextmanager
async def expiring(store: Store, every: float = _DAY) -> AsyncIterator[None]:
    """Remove what has been kept long enough, now and again and again, for as long as the context lasts."""

    async def work() -> None:
        while True:
            try:
                await asyncio.to_thread(store.expire, datetime.now(UTC))
            except DermaFedError as error:
                log.error("%s", error)
            await asyncio.sleep(every)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
