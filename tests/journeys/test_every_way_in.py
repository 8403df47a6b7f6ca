"""One image by every way in to one running node: the page, the API, STOW-RS, C-STORE, MQTT, a file."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import FileDataset

from dermafed.client.clinic.http.tokens import TOKENS, Role, Tokens
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import save_finder
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from tests.client.clinic.dicom.dicom_objects import encapsulated
from tests.client.clinic.dicom.sending import Sender
from tests.client.clinic.mqtt.broker import NODE, Broker, needs_mosquitto
from tests.client.clinic.mqtt.device import Device
from tests.paths import ROOT, SHARED
from tests.ports import free_port
from tests.shared.lesion_finder.test_images import drawn
from tests.shared.training.tiny import tiny_backbones

SAMPLES = SHARED / "data" / "device_samples"
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
FL_CLIENT = (sys.executable, "-c", "from dermafed.client.cli import main; main()")
TIMEOUT = 120.0

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="the device's images are not beside the checkout"),
]


def fl_client(*arguments: object) -> str:
    done = subprocess.run(
        [*FL_CLIENT, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass
class Node:
    """A running node.

    Attributes:
        folder: the folder with the clinic's ``home`` and the model.
        url: the page's address.
        dicom: the DICOM port.
        broker: the MQTT broker, if there is one.
    """

    folder: Path
    url: str
    dicom: int
    broker: Broker | None

    def client(self, name: str, role: Role = "device") -> httpx.Client:
        token = Tokens(self.folder / "home" / "serving" / TOKENS).make(name, role)
        tls = ssl.create_default_context(cafile=str(self.folder / "home" / "serving" / "ca.pem"))
        client = httpx.Client(base_url=self.url, verify=tls, timeout=TIMEOUT, trust_env=False)
        if role == "device":
            client.headers["Authorization"] = f"Bearer {token}"
            return client
        client.headers["Origin"] = self.url
        assert client.post("/sign-in", data={"token": token}).status_code == 303
        return client


def save_small_model(path: Path) -> None:
    """Six blocks with random weights, at 64 pixels, with all of the preprocessing; its classes differ.

    With a finder of dark discs beside it. Every process reads the layers from the file.
    """
    settings = ModelSettings(classes=CLASSES, backbone="EfficientNetB5", image_size=64)
    with tiny_backbones():
        model = build_classifier(settings)
        kernel = model.get_layer("logits").kernel
        kernel.assign(kernel * 1e5)
        info = ModelInfo(settings, PreprocessSettings(image_size=64), "random", 3)
        save_model(path, to_flat(model), info)
    images, masks = drawn(40)
    sums = sum_up_images(model, images, list(masks))
    save_finder(path, LesionFinder.of(sums, weights_digest(to_flat(model))))


@contextmanager
def broker_of(folder: Path) -> Iterator[Broker]:
    broker = Broker(folder / "broker")
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("clinic")
    save_small_model(folder / "model.keras")
    fl_client("init", folder / "home", "--clinic", "north", "--data", SAMPLES)
    if needs_mosquitto.args[0]:
        with serving(folder, None) as node:
            yield node
        return
    with broker_of(folder) as broker, serving(folder, broker) as node:
        yield node


@contextmanager
def serving(folder: Path, broker: Broker | None) -> Iterator[Node]:
    """``fl-client serve`` with a DICOM port and, where there is a broker, MQTT."""
    port = free_port()
    settings = f'\n[serve.dicom]\ndevices = {{ CAMERA = "camera" }}\nport = {port}\n'
    if broker is not None:
        settings += (
            f'[serve.mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nuser = "{NODE}"\n'
            f'password_file = "{broker.folder / NODE}"\nca = "{broker.ca}"\n'
        )
    with (folder / "home" / "clinic.toml").open("a") as file:
        file.write(settings)
    arguments = ("serve", "--model", folder / "model.keras", "--port", 0, "--dir", folder / "home")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*FL_CLIENT, *map(str, arguments)], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield Node(folder, _url(folder / "log", process), port, broker)
    finally:
        process.terminate()
        assert process.wait(90) == 0, (folder / "log").read_text()


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + TIMEOUT
    while not (found := re.search(r"Ready: (\S+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    return found[1]


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return min(SAMPLES.glob("*.jpg"), key=lambda path: path.stat().st_size).read_bytes()


@pytest.fixture(scope="module")
def expected(node: Node, jpeg: bytes) -> dict[str, Any]:
    """The diagnosis of the file by ``fl-client diagnose``, in its own process."""
    image = node.folder / "lesion.jpg"
    image.write_bytes(jpeg)
    diagnosis = json.loads(fl_client("diagnose", image, "--model", node.folder / "model.keras", "--json"))
    probabilities = diagnosis["probabilities"].values()
    assert max(probabilities) - min(probabilities) > 0.01
    assert "lesion" in diagnosis
    return dict(diagnosis)


def assert_same(diagnosis: dict[str, Any], expected: dict[str, Any]) -> None:
    for part in ("probabilities", "lesion"):
        assert diagnosis[part] == expected[part]


def test_the_api(node: Node, jpeg: bytes, expected: dict[str, Any]) -> None:
    with node.client("phone") as device:
        diagnosis = device.post("/v1/diagnoses", files={"image": jpeg}).raise_for_status().json()
        assert_same(diagnosis, expected)
        bundle = device.get(f"/v1/diagnoses/{diagnosis['id']}/fhir").raise_for_status()
        values = re.findall(r'"valueQuantity": {"value": ([0-9.e-]+)', bundle.text)
        assert {*map(float, values)} >= set(expected["probabilities"].values())
        answer = device.get(f"/v1/diagnoses/{diagnosis['id']}/dicom").raise_for_status()
        assert answer.content.count(b"DICM") == 2


def test_the_page(node: Node, jpeg: bytes, expected: dict[str, Any]) -> None:
    browser = node.client("anna", "clinician")
    diagnosis = browser.post("/v1/diagnoses", files={"image": jpeg}).raise_for_status().json()
    assert_same(diagnosis, expected)


def test_stow(node: Node, jpeg: bytes, expected: dict[str, Any]) -> None:
    file = BytesIO()
    encapsulated(jpeg, instance="2.25.777").save_as(file, enforce_file_format=True)
    head = b"--here\r\nContent-Type: application/dicom\r\n\r\n"
    with node.client("scanner") as device:
        answer = device.post(
            "/dicomweb/studies",
            content=head + file.getvalue() + b"\r\n--here--\r\n",
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=here'},
        ).raise_for_status()
        (where,) = re.findall(r"</(v1/diagnoses/\w+)>", answer.headers["Link"])
        assert_same(device.get(f"/{where}").json(), expected)
        answer = device.get(f"/{where}/dicom").raise_for_status()
        assert answer.content.count(b"DICM") == 2 + expected["lesion"]["found"]


def test_c_store(node: Node, jpeg: bytes, expected: dict[str, Any]) -> None:
    sent: FileDataset = encapsulated(jpeg, instance="2.25.778")
    assert Sender(node.dicom).store(sent) == 0
    listed = json.loads(fl_client("diagnoses", "--json", "--dir", node.folder / "home"))
    (diagnosis,) = [each for each in listed if each["request"] == "2.25.778"]
    assert diagnosis["device"] == "camera"
    assert_same(diagnosis, expected)


@needs_mosquitto
def test_mqtt(node: Node, jpeg: bytes, expected: dict[str, Any]) -> None:
    assert node.broker is not None
    with Device(node.broker, "scope") as scope:
        assert_same(scope.ask(jpeg, b"one"), expected)
        file = BytesIO()
        encapsulated(jpeg, instance="2.25.779").save_as(file, enforce_file_format=True)
        assert_same(scope.ask(file.getvalue(), b"two"), expected)
