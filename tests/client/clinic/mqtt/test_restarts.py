"""Brokers and nodes killed in the middle: every request is answered with one and the same diagnosis."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.store.store import Store
from tests.client.clinic.mqtt.broker import Broker, needs_mosquitto
from tests.client.clinic.mqtt.conftest import picture, running
from tests.client.clinic.mqtt.device import Device, wait
from tests.client.clinic.mqtt.mqtt_node import answer_until_killed, quick_service
from tests.client.clinic.stores import new_store, saved_today

pytestmark = [needs_mosquitto, pytest.mark.journey]
REQUESTS = [f"request-{number}".encode() for number in range(8)]
Start = Callable[[], ForkServerProcess]


@pytest.fixture
def start_node(settings: MqttSettings, tmp_path: Path) -> Iterator[Start]:
    """Starts a node of its own process, a diagnosis taking 0.3 s."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.client.clinic.mqtt.mqtt_node"])
    started = []

    def start() -> ForkServerProcess:
        node = context.Process(target=answer_until_killed, args=(settings, tmp_path / "clinic", 0.3))
        node.start()
        started.append(node)
        return node

    yield start
    for node in started:
        node.kill()
        node.join()


def assert_one_diagnosis_each(scope: Device, folder: Path) -> None:
    """Every request has an answer, all its answers name one diagnosis, and that is the one saved."""
    ids = {}
    for request in REQUESTS:
        found = scope.wait_for(request)
        assert {each["status"] for each in found} == {200}
        (ids[request.decode()],) = {each["id"] for each in found}
    saved = {each.request: each.id for each in saved_in(folder)}
    del saved["ready"]
    assert saved == ids


def saved_in(folder: Path) -> list[Diagnosis]:
    with new_store(folder) as store:
        return saved_today(store)


def test_a_killed_node_answers_all_after_its_restart(
    broker: Broker, start_node: Start, tmp_path: Path
) -> None:
    node, folder = start_node(), tmp_path / "clinic"
    with Device(broker, "scope") as scope:
        until_answered(scope, b"ready")
        for number, request in enumerate(REQUESTS):
            scope.send(picture(number), request).wait_for_publish(60)
        wait(lambda: len(saved_in(folder)) >= 3, "the first diagnoses")
        node.kill()
        node.join()
        assert len(saved_in(folder)) < len(REQUESTS) + 1, "it was in the middle"
        start_node()
        assert_one_diagnosis_each(scope, folder)


def test_images_sent_while_the_node_is_down_wait_for_it(
    broker: Broker, start_node: Start, tmp_path: Path
) -> None:
    node, folder = start_node(), tmp_path / "clinic"
    with Device(broker, "scope") as scope:
        until_answered(scope, b"ready")
        node.kill()
        node.join()
        for number, request in enumerate(REQUESTS):
            scope.send(picture(number), request).wait_for_publish(60)
        start_node()
        assert_one_diagnosis_each(scope, folder)


def test_a_killed_broker_loses_no_acknowledged_message(
    broker: Broker, start_node: Start, tmp_path: Path
) -> None:
    start_node()
    folder = tmp_path / "clinic"
    with Device(broker, "scope") as scope:
        until_answered(scope, b"ready")
        for number, request in enumerate(REQUESTS):
            scope.send(picture(number), request).wait_for_publish(60)
        wait(lambda: on_disk_or_answered(broker, scope), "the broker's disk")
        assert not all(scope.answers[request] for request in REQUESTS), "it was in the middle"
        broker.kill()
        broker.start()
        assert_one_diagnosis_each(scope, folder)


def test_a_device_gets_the_answers_that_it_missed(
    broker: Broker, settings: MqttSettings, store: Store
) -> None:
    scope = Device(broker, "scope")
    with running(quick_service(store, 0.5), settings):
        with scope:
            for number, request in enumerate(REQUESTS[:3]):
                scope.send(picture(number), request).wait_for_publish(60)
        wait(lambda: len(saved_today(store)) == 3, "the diagnoses")
        with Device(broker, "scope") as again:
            found = [
                again.wait_for(request)[0]["id"] for request in REQUESTS[:3] if request not in scope.answers
            ]
    assert set(found) <= {each.id for each in saved_today(store)}
    assert len(found) + len(scope.answers) == 3


@pytest.mark.parametrize("remembers", [True, False])
def test_the_node_reconnects_after_a_long_outage_of_the_broker(
    broker: Broker, settings: MqttSettings, store: Store, remembers: bool
) -> None:
    with running(quick_service(store), settings), Device(broker, "scope") as scope:
        broker.kill()
        if not remembers:  # it was killed before it had saved the sessions
            broker.saved.unlink(missing_ok=True)
        time.sleep(3)
        broker.start()
        until_answered(scope, REQUESTS[0])
        assert {each["status"] for each in scope.answers[REQUESTS[0]]} == {200}


def on_disk_or_answered(broker: Broker, scope: Device) -> bool:
    """The broker writes what it has acknowledged a moment later."""
    saved = broker.saved.read_bytes() if broker.saved.exists() else b""
    return all(request in saved or scope.answers[request] for request in REQUESTS)


def until_answered(scope: Device, request: bytes) -> None:
    """Ask as a device should: again with the same name, until there is an answer."""
    for _ in range(120):
        scope.send(picture(99), request)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            if scope.answers[request]:
                return
            time.sleep(0.05)
    raise AssertionError("the node never answered")
