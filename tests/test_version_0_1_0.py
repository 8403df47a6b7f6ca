"""What version 0.1.0 wrote opens, gives the same results, and can be continued.

``fixtures/v0_1_0/README.md`` says how the files were made.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from dermafed.client.cli import main as fl_client
from dermafed.client.clinic.http.serve_settings import read_serve_settings
from dermafed.client.clinic.http.tokens import TOKENS, Tokens
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.audit import Entry, append_entry
from dermafed.client.node.home import Home, open_home, read_settings, server_address
from dermafed.server.cli import main as fl_server
from dermafed.shared.port.access_tokens import digest_of
from dermafed.simulation.cli import main as fl_simulate
from tests.commands.small_datasets import Outcome, command
from tests.commands.test_help import script
from tests.paths import ROOT
from tests.ports import free_port

pytestmark = pytest.mark.journey

FIXTURES = ROOT / "tests" / "fixtures" / "v0_1_0"
MADE_IN = "/srv/dermafed"
THEN: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
STORE: dict[str, Any] = THEN["store"]
ACCEPTED, AGREED, REJECTED, FORGOTTEN, OF_DICOM = STORE["ids"]
MAY_DIFFER = {"command", "created", "seconds", "version"}  # of two runs, or of two versions


class Folder:
    """A folder with unpacked archives, and the commands in it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys

    def unpack(self, *names: str) -> None:
        """As the owner would move a folder: the modes stay, and the paths in the texts are those of now."""
        for name in names:
            with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
                archive.extractall(self.path, filter="tar")
        for path in self.path.rglob("*"):
            if path.suffix in (".toml", ".json", ".csv") and MADE_IN in (text := path.read_text("utf-8")):
                path.write_text(text.replace(MADE_IN, str(self.path)), "utf-8")

    def run(self, main: Callable[[], None], *arguments: object) -> Outcome:
        done = command(main, self._capsys, *arguments)
        assert done.code == 0, done.err
        return done

    def json(self, main: Callable[[], None], *arguments: object) -> Any:
        return json.loads(self.run(main, *arguments, "--json").out)

    def diagnose(self, *arguments: object) -> list[dict[str, Any]]:
        output = self.run(fl_client, "diagnose", "images", *arguments, "--json").out
        return [json.loads(line) for line in output.splitlines()]

    def then(self, name: str) -> Any:
        """The output of version 0.1.0, with the paths of this folder."""
        return json.loads(json.dumps(THEN[name]).replace(MADE_IN, str(self.path)))


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Folder]:
    """The current folder, empty, where the clock shows UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
        patch.setenv("TZ", "UTC")
        time.tzset()
        path = tmp_path.resolve() / "here"
        path.mkdir()
        patch.chdir(path)
        yield Folder(path, capsys)
    time.tzset()


@pytest.fixture
def home(here: Folder) -> Home:
    """The clinic's folder."""
    here.unpack("clinic")
    return open_home(here.path / "graz")


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with open_store(home) as opened:
        yield opened


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_commands_of_a_clinic_give_the_same_output(here: Folder, home: Home) -> None:
    day = datetime.fromisoformat(THEN["fl-client diagnoses"][0]["time"]).date().isoformat()
    for name in ("plans", "audit", "models", "status", "diagnoses", "review", "quarantine", "forget"):
        arguments = ("--day", day) if name == "diagnoses" else ()
        output = here.json(fl_client, name, *arguments, "--dir", home.folder)
        assert output == here.then(f"fl-client {name}"), name
        assert output, f"{name}: there is nothing to read back"
    assert [(plan["name"], plan["decision"]) for plan in here.then("fl-client plans")] == [
        ("first", "approved"),
        ("second", "waiting"),
    ]


def test_a_clinics_settings_and_keys(here: Folder, home: Home) -> None:
    settings = read_settings(home)
    assert (settings.clinic, settings.data, settings.port) == (
        "graz",
        here.path / "data/university_hospital",
        0,
    )
    assert settings.limits.policy == "ask"
    assert settings.limits.values.items() >= {("max_rounds", 1), ("max_epsilon", 8.0)}
    serve = read_serve_settings(home.settings_file)
    assert (serve.hosts, serve.retention_days) == (("derma.example.org",), 30)
    assert server_address(home) == "localhost:9443"
    key = load_ssh_private_key(home.key.read_bytes(), None)
    own = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert home.public_key.read_bytes() == own + b" graz\n"
    tokens = Tokens(home.serving / TOKENS)
    callers = {role: tokens.find_caller(digest_of(token)) for role, token in STORE["tokens"].items()}
    assert {role: (who.name, who.role) for role, who in callers.items() if who is not None} == {
        "clinician": ("anna.huber", "clinician"),
        "device": ("dermatoscope-1", "device"),
    }


def test_a_clinic_can_be_continued(here: Folder, home: Home) -> None:
    lines = len(here.then("fl-client audit"))
    append_entry(home.audit, Entry(7, "1", "train", 10, "0" * 64))
    assert len(here.json(fl_client, "audit", "--dir", home.folder)) == lines + 1
    here.run(fl_client, "approve", "second", "--dir", home.folder)
    plans = here.json(fl_client, "plans", "--dir", home.folder)
    assert [(plan["decision"], plan["by"]) for plan in plans] == [("approved", "person")] * 2
    here.run(fl_client, "join", "graz-invitation.json", "--dir", home.folder)
    assert home.ca.read_text() == json.loads(Path("graz-invitation.json").read_text())["ca_pem"]


def test_the_store_opens(store: Store) -> None:
    for id, digest in STORE["prepared"].items():
        assert sha256(store.load_prepared(id).tobytes()) == digest
        assert store.load_image(id).shape == ((40, 48, 3) if id == OF_DICOM else (32, 32, 3))
    assert [store.find_request("dermatoscope-1", f"a-{number}") for number in (0, 9)] == [
        store.load(ACCEPTED),
        None,
    ]
    assert asdict(store.load(ACCEPTED).clinical) == {"age": 54, "sex": "female", "site": "back"}
    assert [(view.who, store.load_reference(ACCEPTED)) for view in store.list_views(ACCEPTED)] == [
        ("anna.huber", None)
    ]
    reference = store.load_reference(OF_DICOM)
    assert reference is not None
    assert json.loads(reference) == STORE["reference"]
    assert [each.agrees for each in store.list_opinions(AGREED)] == [True]
    with pytest.raises(Refused, match="no longer stored"):
        store.load(FORGOTTEN)
    assert store.lesions.lesion_of(AGREED) is None
    lesion = store.lesions.assign(AGREED, "anna.huber")
    assert [each.id for each in store.lesions.images(lesion)] == [AGREED]


def test_what_the_store_encrypted_is_decrypted(here: Folder, home: Home) -> None:
    reviewed = home.folder / "reviewed"
    for id, options in ((OF_DICOM, ()), (REJECTED, ("--label", "nevus"))):
        assert not (reviewed / f"{id}.jpg").exists()
        here.run(fl_client, "review", id, "--accept", *options, "--dir", home.folder)
    for id in (ACCEPTED, OF_DICOM, REJECTED):
        assert sha256((reviewed / f"{id}.jpg").read_bytes()) == STORE["photographs"][id]
    assert (reviewed / "metadata.csv").read_text().count("\n") == 4
    (waiting,) = here.then("fl-client quarantine")
    assert waiting["why"] == THEN["refused"]
    here.run(fl_client, "quarantine", waiting["id"], "--release", "object.dcm", "--dir", home.folder)
    assert sha256(Path("object.dcm").read_bytes()) == STORE["object"]
    here.run(fl_client, "forget", ACCEPTED, "--dir", home.folder)
    assert not (reviewed / f"{ACCEPTED}.jpg").exists()


def test_the_saved_model_of_a_clinic_diagnoses_as_before(here: Folder, home: Home) -> None:
    here.unpack("model")  # for its images, which are those that were diagnosed
    before = {each["image_sha256"][:32]: each for each in here.then("fl-client diagnoses")}
    output = here.diagnose("--model", "last", "--dir", home.folder)
    assert len(output) == 3
    for line in output:
        then = before[line["id"]]
        assert line["probabilities"] == pytest.approx(then["probabilities"], abs=1e-6)
        assert [line[name] for name in ("model", "unsure", "outside")] == [
            then[name] for name in ("model", "unsure", "outside")
        ]


def test_a_model_file_and_its_calibration(here: Folder) -> None:
    here.unpack("model")
    output, before = here.diagnose("--model", "model/spring.keras"), here.then("diagnose")
    assert {line["outside"] for line in before} == {True, False}, "the trust file distinguishes images"
    for line, then in zip(output, before, strict=True):
        assert line["probabilities"] == pytest.approx(then["probabilities"], abs=1e-6)
        same = set(then) - {"probabilities", "seconds"}
        assert {name: line[name] for name in same} == {name: then[name] for name in same}


def test_the_commands_of_a_server_give_the_same_output(here: Folder) -> None:
    here.unpack("federation")
    for name in ("status", "clinics", "runs", "history first", "models first"):
        output = here.json(fl_server, *name.split(), "--dir", "alps")
        assert output == here.then(f"fl-server {name}"), name
    runs = [(run["name"], run["status"]) for run in here.then("fl-server runs")["runs"]]
    assert runs == [("first", "finished"), ("second", "paused")]


def test_the_server_starts(here: Folder) -> None:
    here.unpack("federation")
    settings, port = Path("alps/server.toml"), free_port()
    text = settings.read_text("utf-8").replace("port = 9443", f"port = {port}")
    settings.write_text(text.replace("health_port = 9444", f"health_port = {free_port()}"), "utf-8")
    server = subprocess.Popen(
        [script("fl-server"), "start", "--dir", "alps"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        ready = server.stdout.readline().decode()
        assert ready.startswith(
            f"Ready: alps at localhost:{port}; CA {THEN['fl-server status']['ca_fingerprint']}"
        )
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0
    assert here.json(fl_server, "runs", "--dir", "alps") == here.then("fl-server runs")


def test_a_federation_can_be_continued(here: Folder) -> None:
    here.unpack("clinic", "federation", "model")
    given = Path("graz-invitation.json").read_bytes()
    here.run(fl_server, "enrol", "graz", "graz/key.pub", "--dir", "alps", "--out", "again.json")
    assert Path("again.json").read_bytes() == given
    here.run(fl_server, "renew", "--dir", "alps")
    ca, server = (
        load_pem_x509_certificate(Path("alps/trust", name).read_bytes()) for name in ("ca.pem", "server.pem")
    )
    server.verify_directly_issued_by(ca)
    key = load_pem_private_key(Path("alps/trust/server.key").read_bytes(), None)
    assert key.public_key() == server.public_key()
    here.run(fl_server, "resume", "second", "--dir", "alps")
    assert here.json(fl_server, "runs", "--dir", "alps")["runs"][1]["status"] == "asked"
    here.run(fl_server, "models", "card", "first", "--dir", "alps", "--out", "card")
    card = Path("card/card.md").read_text("utf-8").splitlines()
    for line in ("| graz | not published |", "| melanoma | 32 | MM |", "| 0.167 | 0.167 | 0.601 | 1.076 |"):
        assert line in card
    for round in ("1", "last"):
        here.run(fl_server, "export", "first", round, f"{round}.keras", "--dir", "alps")
    output = here.diagnose("--model", "last.keras")
    before = {each["image_sha256"][:32]: each for each in here.then("fl-client diagnoses")}
    for each in output:  # the clinic saved the same weights, and the same calibration
        assert each["model"]["sha256"] == before[each["id"]]["model"]["sha256"]
        assert each["probabilities"] == pytest.approx(before[each["id"]]["probabilities"], abs=1e-6)


def test_a_finished_simulation_gives_the_same_result(here: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    here.unpack("simulation", "start")
    monkeypatch.delattr(ProcessPoolExecutor, "submit")  # nothing is left to train
    assert here.json(fl_server, "history", "run") == here.then("fl-server history run")
    card = Path("run/card.md").read_text("utf-8")
    output, then = here.json(fl_simulate, "--resume", "run"), here.then("simulation")
    for name in then.keys() - MAY_DIFFER - {"settings"}:
        assert output[name] == then[name], name
    assert then["settings"].items() <= output["settings"].items(), "newer settings have their default"
    assert json.loads(Path("run/result.json").read_text("utf-8")) == output
    here.run(fl_server, "models", "card", "run", "--out", "again")
    tables = [
        [line for line in text.splitlines() if line.strip().startswith(("|", "value:", "- name:"))]
        for text in (card.replace("not told", "not published"), Path("again/card.md").read_text("utf-8"))
    ]
    assert tables[0] == tables[1]


def test_a_finished_study_gives_the_same_table(here: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    here.unpack("study", "start")
    made = {path: path.stat().st_mtime_ns for path in Path("study").rglob("round-*.npz")}
    assert len(made) == 2
    refused = command(fl_simulate, capsys, "study", "study.toml", "--out", "study")
    recipe = 'features = "pooled", views_at_test = 1, views = 0, refit = "none", own_layer = false'
    assert refused.code == 2
    keys = recipe.split(", ")
    assert all(key in " ".join(refused.err.split()) for key in keys), "the defaults have changed since"
    file = Path("study.toml")
    file.write_text(file.read_text("utf-8").replace("[base]", "\n".join(["[base]", *keys])), "utf-8")
    assert here.json(fl_simulate, "study", "study.toml", "--out", "study") == here.then("study")
    assert {path: path.stat().st_mtime_ns for path in made} == made, "nothing is trained again"
