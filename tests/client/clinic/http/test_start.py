"""``fl-client serve`` and ``token`` as commands: ready, answering, and an end in good order."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from dermafed.client import cli
from dermafed.client.node.home import Home, make_home
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.client.clinic.http.http_node import CLASSES, png
from tests.commands.small_datasets import command
from tests.shared.training.tiny import tiny_backbones

pytestmark = pytest.mark.journey

PROGRAM = (sys.executable, "-c", "from dermafed.client.cli import main; main()")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "graz", "graz", tmp_path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network: a process that serves it reads its layers from the file."""
    folder = tmp_path_factory.mktemp("saved")
    settings = ModelSettings(classes=CLASSES, backbone="EfficientNetB7", image_size=64)
    card = ModelInfo(settings, PreprocessSettings(image_size=64, denoise="none"), "random", 7)
    with tiny_backbones():
        save_model(folder / "alps.keras", to_flat(build_classifier(settings)), card)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    for file in saved.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / "alps.keras"


@contextmanager
def serving(home: Home, model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, once it is ready, and its address."""
    arguments = ("serve", "--model", model, "--dir", home.folder, "--port", 0, *options)
    program = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    try:
        line = program.stdout.readline()
        assert line.startswith("Ready: https://127.0.0.1:"), line + program.communicate()[1]
        yield program, line.split()[1]
    finally:
        program.kill()
        program.wait()


@pytest.fixture
def synthetic(model: Path) -> Path:
    """The model, as if trained on drawn images."""
    card = model.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), "data": {"synthetic": True}}))
    return model


def test_it_answers_and_finishes_requests_in_progress(
    home: Home, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A synthetic model, where it is wanted: its page says so."""
    token = command(cli.main, capsys, "token", "camera-1", "--dir", home.folder).out.strip()
    with serving(home, synthetic, "--synthetic") as (program, address):
        tls = ssl.create_default_context(cafile=str(home.serving / "ca.pem"))
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(
            base_url=address, verify=tls, headers=headers, timeout=120, trust_env=False
        ) as device:
            assert device.get("/health").json()["model"] == "alps"
            page = httpx.get(f"{address}/sign-in", verify=tls, trust_env=False, timeout=60).text
            assert "Synthetic model: for demonstration only." in page
            answers = []

            def send() -> None:
                answers.append(device.post("/v1/diagnoses", files={"image": png()}))

            thread = threading.Thread(target=send)
            thread.start()
            while "dermafed_in_hand 1.0" not in device.get("/metrics").text and not answers:
                time.sleep(0.001)
            program.send_signal(signal.SIGTERM)
            thread.join()
        assert program.wait(timeout=120) == 0
        assert program.stdout is not None
        assert program.stderr is not None
        out, err = program.stdout.read(), program.stderr.read()
        assert answers[0].status_code == 200
        assert "Research use only" in out
        stages = ("Opening the store", "Reading the model", "Preparing predictions and heatmaps")
        assert [line[:-4] for line in err.splitlines() if line[:-4] in stages] == list(stages)
        assert str(home.serving / "ca.pem") in out
        assert token not in out + err
    found = command(cli.main, capsys, "diagnoses", "--dir", home.folder, "--json")
    assert [each["id"] for each in json.loads(found.out)] == [answers[0].json()["id"]]


def test_a_synthetic_model_is_served_only_where_it_is_wanted(
    home: Home, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = command(cli.main, capsys, "serve", "--model", synthetic, "--port", 0, "--dir", home.folder)
    assert refused.code == 2
    assert "trained on drawn images" in refused.err
    assert "--synthetic" in refused.err


def test_a_token_is_printed_once_alone_and_can_be_revoked(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    made = command(cli.main, capsys, "token", "anna", "--role", "clinician", "--dir", home.folder)
    assert made.code == 0
    assert len(made.out.split()) == 1
    again = command(cli.main, capsys, "token", "anna", "--dir", home.folder)
    assert (again.code, again.out) == (2, "")
    assert "has a token" in again.err
    assert command(cli.main, capsys, "token", "anna", "--revoke", "--dir", home.folder).code == 0
    assert command(cli.main, capsys, "token", "anna", "--revoke", "--dir", home.folder).code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "none.keras"), "none.keras"),
        (("--model", "none"), "There is no model 'none'"),
        (("--model", "none", "--plain-http", "--host", "0.0.0.0"), "Without TLS"),
        (("--model", "none", "--host", "no.such.host.invalid"), "cannot be opened"),
    ],
)
def test_a_failed_start_names_the_reason(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    done = command(cli.main, capsys, "serve", *arguments, "--port", 0, "--dir", home.folder)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
