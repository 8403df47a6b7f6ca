"""Requests and answers over a real broker, and what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import uuid
from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.clinic.mqtt import request_response
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from dermafed.shared.metrics.calibration.calibration import softmax
from tests.client.clinic.intake.sample_files import dicom, skin
from tests.client.clinic.mqtt.broker import CONFIGURATION, PATIENCE, Broker, needs_mosquitto
from tests.client.clinic.mqtt.conftest import picture, running
from tests.client.clinic.mqtt.device import Device, wait
from tests.client.clinic.stores import fill_disk, saved_today
from tests.client.small_model import save_small_model

pytestmark = needs_mosquitto


def test_an_image_is_answered_with_its_diagnosis(scope: Device, store: Store) -> None:
    data = picture(1)
    answer = scope.ask(data, b"first", '{"age": 54, "sex": "female", "site": "back"}')
    assert (answer["status"], answer["device"], answer["request"]) == (200, "scope", "first")
    assert answer["image_sha256"] == hashlib.sha256(data).hexdigest()
    assert answer["clinical"] == {"age": 54, "sex": "female", "site": "back"}
    assert store.load(answer["id"]).to_dict() == {name: answer[name] for name in answer if name != "status"}
    assert scope.topics == ["clinic/north/device/scope/answer"]


@pytest.mark.journey
def test_the_network_predicts_the_same_over_mqtt(
    broker: Broker, settings: MqttSettings, store: Store, tmp_path: Path
) -> None:
    diagnoser = Diagnoser(open_model(str(save_small_model(tmp_path))))
    with running(DiagnosticService(diagnoser, store), settings), Device(broker, "scope") as scope:
        answer = scope.ask(picture(1, ".jpg"), b"1")
    from dermafed.client.clinic.intake.receive import receive

    received = receive(picture(1, ".jpg"))
    expected = softmax(diagnoser.predict(received.image, received.clinical).logits)
    assert list(answer["probabilities"].values()) == expected.tolist()


def test_a_dicom_object_is_answered_with_the_diagnosis_of_its_picture(scope: Device) -> None:
    pixels = skin()
    found = scope.ask(dicom(pixels=pixels, PatientAge="054Y", PatientSex="F"), b"1")
    picture = scope.ask(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes(), b"2")
    assert (found["status"], found["probabilities"]) == (200, picture["probabilities"])
    assert found["clinical"] == {"age": 54, "sex": "female", "site": None}


def test_clinical_data_of_the_sender_count_before_those_of_a_dicom_object(scope: Device) -> None:
    found = scope.ask(dicom(PatientAge="054Y", PatientSex="F"), b"1", '{"age": 30}')
    assert found["clinical"] == {"age": 30, "sex": None, "site": None}


def test_a_dicom_object_with_text_in_its_pixels_waits_in_quarantine(scope: Device, store: Store) -> None:
    data = dicom(BurnedInAnnotation="YES")
    answered = scope.ask(data, b"1")
    assert (answered["status"], answered["code"]) == (422, "burned-in")
    (waiting,) = store.list_quarantined()
    assert (waiting.why, waiting.device) == ("burned-in", "scope")
    assert store.load_quarantined(waiting.id) == data
    assert not saved_today(store)


def test_a_full_disk_is_answered_as_over_http(
    scope: Device, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(store, monkeypatch)
    answered = scope.ask(picture(1), b"1")
    assert (answered["status"], answered["code"]) == (503, "storage")
    assert "secret" not in str(answered)


def test_repetitions_get_the_same_diagnosis(scope: Device, store: Store) -> None:
    first = scope.ask(picture(1), b"1")
    assert scope.ask(picture(1), b"1") == first
    assert scope.ask(picture(1), b"2")["id"] != first["id"]
    other = scope.ask(picture(2), b"1")
    assert (other["status"], other["code"]) == (409, "request-reused")
    assert len(saved_today(store)) == 2


def test_one_request_many_times_at_once_is_one_diagnosis(scope: Device, store: Store) -> None:
    for _ in range(12):
        scope.send(picture(1), b"1")
    answer = scope.wait_for(b"1", 12)
    assert {each["id"] for each in answer} == {each.id for each in saved_today(store)}
    assert len(saved_today(store)) == 1


def test_a_name_in_the_metadata_lets_the_correlation_be_any_bytes(scope: Device) -> None:
    correlation = uuid.UUID(int=255).bytes
    answer = scope.ask(picture(1), correlation, '{"request": "r-1"}')
    assert (answer["status"], answer["request"]) == (200, "r-1")


def test_the_answer_goes_where_it_was_asked_for_beneath_the_device(scope: Device) -> None:
    response = f"{scope.topic}/answer/left/hand"
    assert scope.ask(picture(1), b"1", response=response)["status"] == 200
    assert scope.topics == [response]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "clinic/north/device/phone/answer",
        "clinic/north/device/scope/image",
        "clinic/north/device/scope/answers",
        "clinic/north/device/scope",
        "clinic/south/device/scope/answer",
        "$SYS/x",
    ],
)
def test_a_response_topic_elsewhere_is_refused(scope: Device, store: Store, elsewhere: str) -> None:
    answer = scope.ask(picture(1), b"1", response=elsewhere)
    assert (answer["status"], answer["code"]) == (400, "response-topic")
    assert scope.topics == [f"{scope.topic}/answer"]
    assert not saved_today(store)


@pytest.mark.parametrize(
    ("payload", "correlation", "metadata", "code"),
    [
        (b"", b"1", [], "empty"),
        (b"no image", b"1", [], "unsupported-type"),
        (picture(1)[:-40], b"1", [], "damaged"),
        (picture(1), None, [], "request-name"),
        (picture(1), b"", [], "request-name"),
        (picture(1), b"x" * 65, [], "request-name"),
        (picture(1), b"a b", [], "request-name"),
        (picture(1), b"\xff\x00", [], "request-name"),
        (picture(1), b"1", ["{"], "metadata-malformed"),
        (picture(1), b"1", ['{"name": "Jane Doe"}'], "metadata-unknown"),
        (picture(1), b"1", ['{"age": "Jane"}'], "metadata-value"),
        (picture(1), b"1", ["{}", "{}"], "metadata-twice"),
    ],
)
def test_unusable_requests_are_answered_with_a_reason(
    scope: Device, store: Store, payload: bytes, correlation: bytes | None, metadata: list[str], code: str
) -> None:
    answer = scope.ask(payload, correlation, *metadata)
    assert answer["code"] == code
    assert answer["status"] in (400, 415, 422)
    assert answer["error"]
    assert "Jane" not in str(answer)
    assert not saved_today(store)
    assert scope.ask(picture(1), b"next")["status"] == 200


def test_a_message_too_large_for_the_node_is_answered(scope: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_response, "MAX_BYTES", 2**20)
    answer = scope.ask(bytes(2**20 + 1), b"1")
    assert (answer["status"], answer["code"]) == (413, "too-large")


def test_a_message_too_large_for_the_broker_ends_the_devices_connection_only(
    broker: Broker, node: DiagnosticService
) -> None:
    with Device(broker, "phone") as phone:
        phone.send(bytes(33 * 2**20), b"1")
        wait(lambda: len(phone.reasons) > 1, "the broker's refusal")
        assert phone.largest == request_response.MAX_BYTES + 64 * 2**10, "the broker tells it beforehand"
    with Device(broker, "scope") as scope:
        assert scope.ask(picture(1), b"1")["status"] == 200


def test_the_answer_to_an_internal_error_hides_its_cause(
    scope: Device, node: DiagnosticService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Jane Doe")

    with monkeypatch.context() as patch:
        patch.setattr(node, "diagnose", fail)
        answer = scope.ask(picture(1), b"1")
    assert (answer["status"], answer["code"]) == (500, "internal")
    assert "Jane" not in str(answer)
    assert scope.ask(picture(1), b"1")["status"] == 200


def test_worked_example_of_probabilities(scope: Device) -> None:
    """The stand-in's logits are the channels' means over 50."""
    image = np.full((40, 40, 3), (150, 100, 0), np.uint8)
    image[:, 20:] = (50, 0, 0)
    answer = scope.ask(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), b"1")
    powers = np.exp([2.0, 1.0, 0.0])
    assert list(answer["probabilities"].values()) == pytest.approx(powers / powers.sum(), abs=1e-12)
    assert answer["prediction"] == "melanoma"


def test_the_documented_device_gets_an_answer(
    broker: Broker, node: DiagnosticService, tmp_path: Path
) -> None:
    (tmp_path / "lesion.jpg").write_bytes(picture(1, ".jpg"))
    text = (CONFIGURATION.parents[1] / "docs" / "mqtt.md").read_text("utf-8")
    program = text.split("```python\n")[1].split("```")[0]
    for there, here in (
        ("HOST", "127.0.0.1"),
        ("8883", str(broker.port)),
        ("ca.pem", str(broker.ca)),
        ("PASSWORD", broker.passwords["scope"]),
    ):
        assert there in program
        program = program.replace(there, here)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    answer = json.loads(done.stdout or "null")
    assert answer, done.stderr
    assert (answer["request"], answer["device"], answer["clinical"]["age"]) == (
        "2031-05-04-0017",
        "scope",
        54,
    )
