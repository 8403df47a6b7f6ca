from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.client.clinic.mqtt import responder
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from tests.client.clinic.mqtt.broker import CLINIC, NODE, Broker
from tests.client.clinic.mqtt.device import Device, wait
from tests.client.clinic.mqtt.mqtt_node import quick_service
from tests.client.clinic.stores import new_store


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "LONGEST_DELAY", 1.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def settings(broker: Broker) -> MqttSettings:
    return settings_for(broker)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "clinic") as store:
        yield store


@pytest.fixture
def node(settings: MqttSettings, store: Store) -> Iterator[DiagnosticService]:
    """A node that answers in this process."""
    service = quick_service(store)
    with running(service, settings):
        yield service


@pytest.fixture
def scope(broker: Broker, node: DiagnosticService) -> Iterator[Device]:
    with Device(broker, "scope") as device:
        yield device


def settings_for(broker: Broker) -> MqttSettings:
    return MqttSettings(
        host="127.0.0.1",
        port=broker.port,
        user=NODE,
        password_file=broker.folder / NODE,
        ca=broker.ca,
        clinic=CLINIC,
    )


@contextmanager
def running(service: DiagnosticService, settings: MqttSettings) -> Iterator[None]:
    """A node in a thread, from its subscription to the end."""
    connected = _Connected()
    responder.log.setLevel(logging.INFO)
    responder.log.addHandler(connected)
    try:
        with started(service, settings):
            wait(connected.logged.is_set, "the node's connection")
            yield
    finally:
        responder.log.removeHandler(connected)


@contextmanager
def started(service: DiagnosticService, settings: MqttSettings) -> Iterator[None]:
    """A node in a thread, which may not get to the broker."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(responder.run_mqtt(service, settings))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


class _Connected(logging.Handler):
    """Waits for the node's log line that it is connected."""

    def __init__(self) -> None:
        super().__init__()
        self.logged = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("connected"):
            self.logged.set()


def picture(seed: int, suffix: str = ".png") -> bytes:
    """An image file unlike that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()
