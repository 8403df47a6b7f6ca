"""The ways in beside HTTP, for as long as the node runs: the DICOM port, and the broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from dermafed.client.clinic.dicom.settings import DicomSettings
from dermafed.client.clinic.mqtt.settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store


@asynccontextmanager
async def dicom_port(
    service: DiagnosticService, store: Store, settings: DicomSettings, outbox: Path
) -> AsyncIterator[None]:
    """C-STORE in, heatmaps and reports back out.

    Args:
        service: diagnoses.
        store: keeps what answers need, and what waits in quarantine.
        settings: of the port.
        outbox: the folder of answers that wait to be sent.

    Raises:
        SettingsError: the port cannot be opened, or a file of its TLS cannot be used.
    """
    from dermafed.client.clinic.dicom.receiver import start_receiver
    from dermafed.client.clinic.dicom.sender import start_answering

    answering = start_answering(service, store.reference, settings, outbox)
    try:
        stop = start_receiver(service, settings, store.quarantine, answering.add)
        try:
            yield
        finally:
            await asyncio.to_thread(stop)
    finally:
        await asyncio.to_thread(answering.stop)


@asynccontextmanager
async def broker(service: DiagnosticService, store: Store, settings: MqttSettings) -> AsyncIterator[None]:
    """Images over MQTT, answered there.

    Raises:
        SettingsError: the authority's certificate cannot be read, or there is no password.
        StorageError: the password's file cannot be read, or others can read it.
    """
    from dermafed.client.clinic.mqtt.responder import run_mqtt

    settings.password(), settings.tls()
    session = asyncio.create_task(run_mqtt(service, settings, store.quarantine))
    try:
        yield
    finally:
        session.cancel()
        with suppress(asyncio.CancelledError):
            await session
