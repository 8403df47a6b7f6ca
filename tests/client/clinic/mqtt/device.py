"""A device: it sends images and collects what comes to its own answer topic."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.client.clinic.mqtt.broker import CLINIC, PATIENCE, Broker


class Device:
    """An MQTT 5 client with a session that the broker stores."""

    def __init__(self, broker: Broker, name: str, password: str | None = None) -> None:
        self.name, self.broker = name, broker
        self.answers: dict[bytes | None, list[dict[str, Any]]] = defaultdict(list)
        self.topics: list[str] = []
        self.reasons: list[str] = []
        self.largest: int | None = None
        self._subscribed = False
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(name, broker.passwords.get(name, "") if password is None else password)
        self.client.tls_set(str(broker.ca))
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = self._receive
        self.client.on_connect = self._connected
        self.client.on_disconnect = lambda *all: self.reasons.append(str(all[3]))
        self.client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)

    def __enter__(self) -> Self:
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", self.broker.port, clean_start=False, properties=session)
        self.client.loop_start()
        wait(lambda: bool(self.reasons), "the broker's answer")
        if self.reasons == ["Success"]:
            wait(lambda: self._subscribed, "the subscription")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    @property
    def topic(self) -> str:
        return f"clinic/{CLINIC}/device/{self.name}"

    def send(
        self,
        payload: bytes,
        correlation: bytes | None,
        *metadata: str,
        response: str | None = None,
        topic: str | None = None,
    ) -> mqtt.MQTTMessageInfo:
        """Hand a request to the broker, or to this client's queue while there is none."""
        properties = Properties(PacketTypes.PUBLISH)
        if correlation is not None:
            properties.CorrelationData = correlation
        if response is not None:
            properties.ResponseTopic = response
        properties.UserProperty = [("metadata", text) for text in metadata]
        return self.client.publish(topic or f"{self.topic}/image", payload, qos=1, properties=properties)

    def ask(self, payload: bytes, correlation: bytes | None, *metadata: str, **more: str) -> dict[str, Any]:
        """The next answer to a request."""
        before = len(self.answers[correlation])
        self.send(payload, correlation, *metadata, **more)
        return self.wait_for(correlation, before + 1)[-1]

    def wait_for(self, correlation: bytes | None, count: int = 1) -> list[dict[str, Any]]:
        """All answers of a correlation, once there are so many."""
        wait(lambda: len(self.answers[correlation]) >= count, f"answer {count} to {correlation!r}")
        return self.answers[correlation]

    def _connected(
        self, client: object, data: object, flags: object, reason: object, properties: Properties
    ) -> None:
        self.largest = getattr(properties, "MaximumPacketSize", None)
        self.reasons.append(str(reason))
        self.client.subscribe(f"{self.topic}/answer/#", qos=1)  # the broker may have forgotten the session

    def _receive(self, client: object, data: object, message: mqtt.MQTTMessage) -> None:
        properties = message.properties
        assert properties is not None
        status = int(dict(properties.UserProperty)["status"])
        assert properties.ContentType == "application/json"
        self.topics.append(message.topic)
        correlation = getattr(properties, "CorrelationData", None)
        self.answers[correlation].append({"status": status, **json.loads(message.payload)})


def wait(true: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
