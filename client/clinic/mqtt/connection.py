"""A connection to the broker on which a message is acknowledged only once it is answered."""

from __future__ import annotations

from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from dermafed.client.clinic.mqtt.answer import MAX_BYTES, Answer
from dermafed.client.clinic.mqtt.request import image_topic
from dermafed.client.clinic.mqtt.settings import MqttSettings

AT_ONCE = 4  # more would only wait for the model
_SESSION_SECONDS = 7 * 24 * 3600
_HEADERS = 64 * 2**10
_NOT_THE_KEPT_ONES = 2


class Connection(aiomqtt.Client):
    """MQTT 5 over TLS, in a session that outlives it."""

    def __init__(self, settings: MqttSettings) -> None:
        """Prepares it; entering it connects."""
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
            MqttError: the broker does not let the node.
        """
        options = SubscribeOptions(qos=1, retainHandling=_NOT_THE_KEPT_ONES)
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
