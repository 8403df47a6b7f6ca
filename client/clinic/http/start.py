"""``fl-client serve``: start the HTTP server and the other listeners in order, and stop them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel, open_model
from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.dicom.outbox import Outbox
from dermafed.client.clinic.http.app import build_app
from dermafed.client.clinic.http.certificate import Certificate, certificate_for
from dermafed.client.clinic.http.listening import ListenAddress, listen
from dermafed.client.clinic.http.model_facts import model_facts
from dermafed.client.clinic.http.serve_settings import read_serve_settings
from dermafed.client.clinic.http.tokens import TOKENS, Tokens
from dermafed.client.clinic.monthly_answers import count_months, save_months
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.similar.similar_cases import SimilarCases
from dermafed.client.clinic.store.store import open_store
from dermafed.client.node.home import Home, read_settings
from dermafed.shared.errors import DermaFedError, ModelError
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.storage.lock import lock_folder
from dermafed.shared.training.backend import configure_backend

OUTBOX = "dicom-answers"
_DAY = 86400.0  # seconds

log = logging.getLogger("dermafed.serving")


@dataclass(frozen=True, slots=True)
class Ready:
    """What is printed once the node answers.

    Attributes:
        address: address of the page.
        model: the model in use.
        certificate: the certificate of the server; ``None`` without TLS.
    """

    address: str
    model: ModelUsed
    certificate: Certificate | None


def serve(
    home: Home,
    model: str,
    place: ListenAddress,
    ready: Callable[[Ready], None],
    stage: Callable[[str], None],
    synthetic: bool = False,
) -> None:
    """Serve a clinic until SIGTERM or Ctrl-C; requests in progress are finished.

    Args:
        home: the clinic's folder.
        model: see :func:`dermafed.client.clinic.diagnosis.opened_model.open_model`.
        place: the address to listen on.
        ready: is called once the node answers.
        stage: is called with each step of the start, in words.
        synthetic: whether a model that was trained on drawn images may be served.

    Raises:
        DermaFedError: it cannot start; names the reason.
    """
    stage("Opening the store")
    settings, clinic = read_serve_settings(home.settings_file), read_settings(home).clinic
    names = place.names(settings)
    with (
        lock_folder(home.serving, patience=1.0),
        place.bound() as socket,
        place.beside(socket) as others,
        open_store(home, settings.retention_days) as store,
    ):
        certificate = certificate_for(home.serving, clinic, names, settings) if place.tls else None
        context = None if certificate is None else certificate.context()
        stage("Reading the model")
        configure_backend(1)
        opened = open_model(model, home)
        if opened.card.synthetic and not synthetic:
            raise _refused(opened)
        calibration = load_calibration(opened.file, opened.used.sha256)
        stage("Preparing predictions and heatmaps")
        service = DiagnosticService(Diagnoser(opened), store, calibration, SimilarCases(opened, home.similar))
        facts = model_facts(opened, calibration, clinic)
        answers = settings.dicom is not None and settings.dicom.answer_to is not None
        outbox = Outbox(home.serving / OUTBOX) if answers else None
        app = build_app(service, Tokens(home.serving / TOKENS), facts, settings, names, outbox)
        answering = Ready(place.address(socket), opened.used, certificate)

        def count() -> None:
            save_months(home, count_months(store, opened.used.sha256, calibration, date.today()))

        background = [daily(lambda: store.expire(datetime.now(UTC))), daily(count)]
        if settings.dicom is not None:
            background.append(dicom_listener(service, settings.dicom, home.serving / OUTBOX))
        if settings.mqtt is not None:
            background.append(mqtt_listener(service, settings.mqtt))
        stage("Opening the port")
        listen(app, [socket, *others], context, settings, background, lambda: ready(answering))


def _refused(opened: OpenedModel) -> ModelError:
    return ModelError(
        "This model was trained on drawn images: it knows nothing of real skin",
        where=opened.file,
        remedy="Serve another model; or, for a demonstration, give --synthetic",
    )


@asynccontextmanager
async def dicom_listener(
    service: DiagnosticService, settings: DicomSettings, outbox: Path
) -> AsyncIterator[None]:
    """Receive C-STORE requests, and send heatmaps and reports back.

    Args:
        service: diagnoses and saves.
        settings: settings of the port.
        outbox: folder of the answers that wait to be sent.

    Raises:
        SettingsError: the port cannot be opened, or a file of its TLS cannot be used.
    """
    from dermafed.client.clinic.dicom.receiver import start_receiver
    from dermafed.client.clinic.dicom.sender import AnswerSender

    async with AsyncExitStack() as running:
        add: Callable[[str], None] | None = None
        if settings.answer_to is not None:
            sender = AnswerSender(service, settings, settings.answer_to, outbox)
            running.push_async_callback(asyncio.to_thread, sender.stop)
            add = sender.add
        running.push_async_callback(asyncio.to_thread, start_receiver(service, settings, add))
        yield


@asynccontextmanager
async def mqtt_listener(service: DiagnosticService, settings: MqttSettings) -> AsyncIterator[None]:
    """Receive images over MQTT, and answer them there.

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


@asynccontextmanager
async def daily(do: Callable[[], object], every: float = _DAY) -> AsyncIterator[None]:
    """Do something in a thread, now and daily, for as long as the context lasts; its errors are logged."""

    async def work() -> None:
        while True:
            try:
                await asyncio.to_thread(do)
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
