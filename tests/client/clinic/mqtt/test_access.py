"""Who may do what at the broker, with the configuration in ``docker/mosquitto``."""

from __future__ import annotations

import logging
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from pydantic import ValidationError

from dermafed.client.clinic.mqtt import responder
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from dermafed.shared.errors import SettingsError, StorageError
from tests.client.certificates import certificate
from tests.client.clinic.mqtt.broker import Broker, needs_mosquitto
from tests.client.clinic.mqtt.conftest import picture, settings_for, started
from tests.client.clinic.mqtt.device import Device, wait
from tests.client.clinic.mqtt.mqtt_node import quick_service
from tests.client.clinic.stores import new_store, saved_today

pytestmark = needs_mosquitto


@pytest.mark.parametrize(("name", "password"), [("scope", "wrong"), ("stranger", "x"), ("", "")])
def test_a_device_needs_its_own_password(broker: Broker, name: str, password: str) -> None:
    with Device(broker, name, password) as device:
        assert device.reasons[0] == "Not authorized"


def test_a_device_cannot_write_as_another(broker: Broker, scope: Device, store: Store) -> None:
    with Device(broker, "phone") as phone:
        phone.send(picture(1), b"forged", topic=f"{scope.topic}/image")
        phone.send(picture(1), b"forged", topic=f"{scope.topic}/answer")
        phone.send(picture(1), b"forged", topic="clinic/south/device/phone/image")
        assert phone.ask(picture(2), b"own")["device"] == "phone"
    assert [diagnosis.device for diagnosis in saved_today(store)] == ["phone"]
    assert not scope.answers


def test_a_device_cannot_read_what_is_anothers(broker: Broker, scope: Device) -> None:
    with Device(broker, "phone") as phone:
        phone.client.subscribe([("#", 1), (f"{scope.topic}/answer", 1), ("clinic/+/device/+/image", 1)])
        assert scope.ask(picture(1), b"1")["status"] == 200
        assert phone.ask(picture(2), b"2")["device"] == "phone"
        assert set(phone.answers) == {b"2"}


def test_a_device_cannot_take_the_nodes_session(
    broker: Broker, node: DiagnosticService, scope: Device
) -> None:
    thief = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="node", protocol=mqtt.MQTTv5)
    with Device(broker, "phone") as phone:
        phone.client.disconnect()
        thief.username_pw_set("phone", broker.passwords["phone"])
        thief.tls_set(str(broker.ca))
        thief.connect("127.0.0.1", broker.port)
        thief.loop_start()
        try:
            wait(thief.is_connected, "the thief's connection")
            assert scope.ask(picture(1), b"1")["status"] == 200
        finally:
            thief.disconnect()
            thief.loop_stop()


def test_retained_images_are_refused(broker: Broker, scope: Device, store: Store) -> None:
    with Device(broker, "phone") as phone:
        phone.client.publish(f"{phone.topic}/image", picture(1), qos=1, retain=True)
        wait(lambda: len(phone.reasons) > 1, "the broker's refusal")
        assert "retain" in phone.reasons[1].lower()
    assert scope.ask(picture(2), b"1")["status"] == 200
    assert len(saved_today(store)) == 1


@pytest.mark.parametrize("what", ["password", "authority"])
def test_a_wrong_password_or_authority_is_logged_and_tried_again(
    broker: Broker, what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    settings = settings_for(broker)
    if what == "password":
        settings.password_file.write_text("wrong secret")
    else:
        settings = settings.model_copy(update={"ca": certificate(tmp_path / "other").ca})
    with started(quick_service(new_store(tmp_path / "clinic")), settings):
        wait(lambda: len(caplog.records) >= 2, "two attempts")
    logged = caplog.text
    assert ("Not authorized" if what == "password" else "certificate verify failed") in logged
    assert "secret" not in logged


def test_settings_are_checked(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    good = {"host": "broker", "user": "node", "password_file": secret, "clinic": "north"}
    settings = MqttSettings.model_validate(good)
    assert (settings.port, settings.session()) == (8883, "node")
    for bad in ({"port": 0}, {"host": ""}, {"user": ""}, {"tls": False}, {"password": "secret"}):
        with pytest.raises(ValidationError):
            MqttSettings.model_validate({**good, **bad})
    with pytest.raises(SettingsError, match="not a valid name for a clinic"):
        MqttSettings.model_validate({**good, "clinic": "north/+"})


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [(None, 0, StorageError), ("secret", 0o644, StorageError), ("\n", 0o600, SettingsError)],
)
def test_the_password_file_is_the_owners_alone(
    tmp_path: Path, content: str | None, mode: int, error: type[Exception]
) -> None:
    secret = tmp_path / "password"
    if content is not None:
        secret.write_text(content)
        secret.chmod(mode)
    settings = MqttSettings(host="h", user="node", password_file=secret, clinic="north")
    with pytest.raises(error):
        settings.password()


def test_an_authority_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        settings = MqttSettings(
            host="h", user="node", password_file=tmp_path, clinic="north", ca=tmp_path / name
        )
        with pytest.raises(SettingsError, match="authority's certificate"):
            settings.tls()


def test_the_responder_logs_nothing_of_a_request(scope: Device, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scope.ask(picture(1), b"secret-name", '{"site": "secret-site"}')
    assert responder.log.name in caplog.text or "answered" in caplog.text
    assert "secret" not in caplog.text
