"""The node at the clinic's broker: every image that comes is answered once, whoever restarts meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from aiomqtt import Message, MqttError

from dermafed.client.clinic.intake.receive import Quarantine
from dermafed.client.clinic.mqtt.answer import Answer, answer
from dermafed.client.clinic.mqtt.connection import Connection
from dermafed.client.clinic.mqtt.settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0

log = logging.getLogger("dermafed.mqtt")


async def run_mqtt(service: DiagnosticService, settings: MqttSettings, quarantine: Quarantine) -> None:
    """Answers images until it is cancelled; connects again whenever it has to.

    A message is acknowledged after its diagnosis is on the disk and the broker has its answer. Until then the
    broker keeps it, and sends it again to the next connection; the request's name then finds the diagnosis.

    Args:
        service: diagnoses and saves.
        settings: of the broker.
        quarantine: saves a file that may show a name.

    Raises:
        StorageError: the password cannot be read, or others can read it.
        SettingsError: the authority's certificate cannot be read.
    """
    settings.password(), settings.tls()
    delay = FIRST_DELAY
    while True:
        try:
            async with Connection(settings) as connection:
                await connection.listen(settings.clinic)
                log.info("connected to %s:%d", settings.host, settings.port)
                delay = FIRST_DELAY
                await _answer_all(connection, partial(answer, service, quarantine))
        except* MqttError as errors:
            log.warning("not connected to %s:%d: %s", settings.host, settings.port, errors.exceptions[0])
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


async def _answer_all(connection: Connection, answer_of: Callable[[Message], Answer]) -> None:
    """Ends with the connection; the broker sends no more than the connection's AT_ONCE at a time."""
    async with asyncio.TaskGroup() as tasks:
        async for message in connection.messages:
            tasks.create_task(_answer(connection, answer_of, message))


async def _answer(connection: Connection, answer_of: Callable[[Message], Answer], message: Message) -> None:
    if not message.retain:  # what lay at the broker was asked by nobody now
        await connection.send(await asyncio.to_thread(answer_of, message))
    connection.acknowledge(message)
