"""Answer the images at the clinic's broker: each exactly once, whichever side restarts meanwhile."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiomqtt
from aiomqtt import Message, MqttError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.mqtt.request_response import MAX_BYTES, Answer, answer, image_topic
from dermafed.client.clinic.service import DiagnosticService

AT_ONCE = 4  # more would only wait for the model
_SESSION_SECONDS = 7 * 24 * 3600
_HEADERS = 64 * 2**10
_NO_RETAINED = 2  # the broker sends no retained messages at the subscription
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before connecting again

log = logging.getLogger("dermafed.mqtt")


class Connection(aiomqtt.Client):
    """MQTT 5 over TLS, in a session that outlives the connection; messages are acknowledged explicitly."""

    def __init__(self, settings: MqttSettings) -> None:
        """Prepare the connection; entering it connects."""
        super().__init__(
            settings.host,
            settings.port,
            username=settings.user,
            password=settings.password(),
            identifier=settings.session(),
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=_properties(
                PacketTypes.CONNECT,
                SessionExpiryInterval=_SESSION_SECONDS,
                ReceiveMaximum=AT_ONCE,
                MaximumPacketSize=MAX_BYTES + _HEADERS,
            ),
            tls_context=settings.tls(),
        )
        self._client.manual_ack_set(True)  # aiomqtt itself acknowledges at once

    async def listen(self, clinic: str) -> None:
        """Subscribe to the images of all devices.

        Raises:
            MqttError: the broker refuses the subscription.
        """
        options = SubscribeOptions(qos=1, retainHandling=_NO_RETAINED)
        (granted,) = await self.subscribe(image_topic(clinic, "+"), options=options)
        if granted != 1:
            raise aiomqtt.MqttError(f"the broker refuses the subscription: {granted}")

    async def send(self, answer: Answer) -> None:
        """Publish an answer; the broker has it when this returns."""
        properties = _properties(
            PacketTypes.PUBLISH,
            ContentType="application/json",
            UserProperty=("status", str(answer.status)),
        )
        if answer.correlation is not None:
            properties.CorrelationData = answer.correlation
        await self.publish(answer.topic, answer.payload(), qos=1, properties=properties)

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that a message need not come again."""
        self._client.ack(message.mid, message.qos)


def _properties(packet: int, **values: Any) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


async def run_mqtt(service: DiagnosticService, settings: MqttSettings) -> None:
    """Answer images until it is cancelled; connect again whenever the connection is lost.

    A message is acknowledged after its diagnosis is on the disk and the broker has its answer. Until then the
    broker stores it, and sends it again to the next connection; the request's name then finds the diagnosis.

    Args:
        service: diagnoses and saves.
        settings: settings of the broker.

    Raises:
        StorageError: the password cannot be read, or others can read it.
        SettingsError: the authority's certificate cannot be read.
    """
    delay = FIRST_DELAY
    while True:
        try:
            async with Connection(settings) as connection:
                await connection.listen(settings.clinic)
                log.info("connected to %s:%d", settings.host, settings.port)
                delay = FIRST_DELAY
                await _answer_all(connection, service)
        except* MqttError as errors:
            log.warning("not connected to %s:%d: %s", settings.host, settings.port, errors.exceptions[0])
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


async def _answer_all(connection: Connection, service: DiagnosticService) -> None:
    """Ends with the connection; the broker sends no more than the connection's AT_ONCE at a time."""
    async with asyncio.TaskGroup() as tasks:
        async for message in connection.messages:
            tasks.create_task(_answer(connection, service, message))


async def _answer(connection: Connection, service: DiagnosticService, message: Message) -> None:
    if not message.retain:  # a retained message is not a request of now
        await connection.send(await asyncio.to_thread(answer, service, message))
    connection.acknowledge(message)
