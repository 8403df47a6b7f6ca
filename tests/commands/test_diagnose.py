"""``fl-client diagnose``: the server's numbers, a line for every file, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from dermafed.client import cli
from dermafed.client.clinic.diagnosis.diagnose_files import (
    SUFFIXES,
    csv_header,
    csv_row,
    describe,
    diagnose_files,
)
from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_counts import Alerts
from tests.client.clinic.intake.sample_files import dicom_jpeg, jpeg
from tests.client.clinic.stores import new_store
from tests.client.small_model import save_small_model
from tests.commands.small_datasets import LABELS, command, draw_image

Capture = pytest.CaptureFixture[str]
KEYS = [
    *("id", "image", "prediction", "probabilities", "unsure", "outside"),
    *("alert", "alert_threshold", "alert_score", "alert_note", "miss_rate", "possible"),
    *("quality", "model", "seconds"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def diagnoser(model: Path) -> Diagnoser:
    return Diagnoser(open_model(str(model)))


@pytest.fixture
def at_hand(diagnoser: Diagnoser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model opened once, since that takes seconds."""
    monkeypatch.setattr(
        "dermafed.client.clinic.diagnosis.diagnose_files.open_diagnoser", lambda name, home: (diagnoser, None)
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a.png", "b/A.jpg", "masks/a.png")):
        draw_image(tmp_path / "images" / name, seed)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.journey
def test_each_file_has_the_servers_numbers_to_the_last_bit(
    diagnoser: Diagnoser, model: Path, images: Path, tmp_path: Path, capsys: Capture
) -> None:
    done = command(cli.main, capsys, "diagnose", images, images / "a.png", "--model", model, "--json")
    assert done.code == 0, done.err
    printed = lines(done.out)
    assert [list(line) for line in printed] == [KEYS] * 2
    service = DiagnosticService(diagnoser, new_store(tmp_path / "clinic"))
    for line, file in zip(printed, (images / "a.png", images / "b" / "A.jpg"), strict=True):
        data = file.read_bytes()
        expected = service.diagnose(receive(data), "scope").to_dict()
        same = ("prediction", "probabilities", "unsure", "outside", "quality", "model")
        assert {name: line[name] for name in same} == {name: expected[name] for name in same}
        assert line["image"] == str(file)
        assert line["id"] == hashlib.sha256(data).hexdigest()[:32]
        assert line["model"]["name"] == "small"
        assert line["model"]["round"] == 3


class Doubtful:
    """Knows that nothing is sure."""

    alert = None

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.array([0.25, 0.5, 0.25])

    def unsure(self, probabilities: NDArray[np.float64]) -> bool:
        return True

    def out_of_distribution_score(self, features: NDArray[np.float32]) -> float | None:
        return 7.0

    def is_out_of_distribution(self, score: float) -> bool:
        return score > 6


def test_warnings_are_printed(diagnoser: Diagnoser, images: Path) -> None:
    (line,) = diagnose_files([images / "a.png"], diagnoser, Doubtful())
    assert line["probabilities"] == {"melanoma": 0.25, "nevus": 0.5, "seborrheic_keratosis": 0.25}
    assert (line["prediction"], line["unsure"], line["outside"]) == ("nevus", True, True)


class Alerted(Doubtful):
    """Alerts to a melanoma at 0.2."""

    classes = LABELS
    alert = AlertRule(DecisionSettings(), 0.2, Alerts(40, 38, 100, 30), (0.1, 0.3, 0.3))

    def alert_probabilities(self, logits: NDArray[np.float32], rule: AlertRule) -> NDArray[np.float64]:
        return self.probabilities(logits)


class FewMelanomas(Alerted):
    """Of a clinic with two melanomas: its threshold is that of all clinics."""

    alert = replace(Alerted.alert, own_melanomas=2)

    def alert_probabilities(self, logits: NDArray[np.float32], rule: AlertRule) -> NDArray[np.float64]:
        return np.array([0.5, 0.25, 0.25])


def test_a_line_has_the_alert_and_how_often_it_misses(diagnoser: Diagnoser, images: Path) -> None:
    (line,) = diagnose_files([images / "a.png"], diagnoser, Alerted())  # type: ignore[arg-type]
    assert (line["alert"], line["alert_threshold"]) == (True, 0.2)
    exact = binomtest(2, 40).proportion_ci(0.95, "exact")
    assert line["miss_rate"] == {
        "value": pytest.approx(0.05),
        "low": pytest.approx(exact.low),
        "high": pytest.approx(exact.high),
        "n": 40,
        "promise": Alerted.alert.promise.sentence,
    }
    assert line["possible"] == ["melanoma", "nevus"]
    assert "; alert: melanoma 0.25, threshold 0.20; " in describe(line)
    json.dumps(line, allow_nan=False)


def test_a_clinic_with_few_melanomas_is_told_so(diagnoser: Diagnoser, images: Path) -> None:
    (line,) = diagnose_files([images / "a.png"], diagnoser, FewMelanomas())  # type: ignore[arg-type]
    assert (line["alert"], line["alert_score"], line["probabilities"]["melanoma"]) == (True, 0.5, 0.25)
    assert line["alert_note"].endswith("as if all diagnoses were equally frequent")
    assert "clinic's validation lesions: 2." in line["alert_note"]
    assert line["miss_rate"]["n"] == 40
    assert line["miss_rate"]["promise"] == "Cannot be promised here: 2 melanomas, at least 29 are needed"
    assert (
        "; alert: melanoma 0.50 as if all diagnoses were equally frequent, threshold 0.20 of all clinics; "
        in (describe(line))
    )
    # Sets are of the probabilities with the prior.
    assert line["possible"] == ["melanoma", "nevus"]


def test_without_an_alert_its_fields_are_empty(diagnoser: Diagnoser, images: Path) -> None:
    (line,) = diagnose_files([images / "a.png"], diagnoser, None)
    assert {line[name] for name in ("alert", "alert_threshold", "miss_rate", "possible")} == {None}


@pytest.mark.usefixtures("at_hand")
def test_a_bad_file_gets_its_line_and_does_not_stop_the_rest(images: Path, capsys: Capture) -> None:
    (images / "aa.jpg").write_bytes(b"\xff\xd8 no image")
    done = command(cli.main, capsys, "diagnose", images, "--model", "m", "--json")
    assert done.code == 1
    good, bad, last = lines(done.out)
    assert list(bad) == ["image", "error", "code"]
    assert (bad["image"], bool(bad["error"]), bool(bad["code"])) == (str(images / "aa.jpg"), True, True)
    assert [list(line) for line in (good, last)] == [KEYS] * 2
    assert "1 of 3 images" in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("at_hand")
def test_csv_has_a_column_for_each_class_and_loses_no_digit(images: Path, capsys: Capture) -> None:
    (images / "aa.jpg").write_bytes(b"")
    printed = lines(command(cli.main, capsys, "diagnose", images, "--model", "m", "--json").out)
    done = command(cli.main, capsys, "diagnose", images, "--model", "m", "--csv")
    assert done.code == 1
    rows = list(csv.DictReader(io.StringIO(done.out)))
    for row, line in zip(rows, printed, strict=True):
        assert row["image"] == line["image"]
        numbers = {name: row[f"probability_{name}"] for name in LABELS}
        if "error" in line:
            assert set(numbers.values()) == {""}
            assert (row["error"], row["code"]) == (line["error"], line["code"])
        else:
            assert {name: float(text) for name, text in numbers.items()} == line["probabilities"]
            assert (row["model"], row["round"], row["error"]) == ("small", "3", "")


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0.png", "+1.png", "-1.png", "@SUM(1).png", "\t=1.png"])
def test_a_file_name_is_not_a_formula_in_a_spreadsheet(name: str) -> None:
    row = csv_row({"image": name, "error": "=1+1", "code": "x"}, LABELS)
    cells = dict(zip(csv_header(LABELS), row, strict=True))
    assert (cells["image"], cells["error"], cells["code"]) == (f"'{name}", "'=1+1", "x")


def test_text_output() -> None:
    line = {
        "image": "a.png",
        "prediction": "nevus",
        "probabilities": {"melanoma": 0.2468, "nevus": 0.7532},
        "unsure": True,
        "outside": True,
        "alert": None,
        "quality": [{"code": "blur", "text": "The image is blurred"}],
    }
    sure = {**line, "unsure": None, "outside": False, "quality": []}
    assert describe(line) == (
        "a.png: nevus, probability 0.75; undecided: too close to call; "
        "may be outside what the model has seen; blur"
    )
    assert describe(sure) == "a.png: nevus, probability 0.75"
    assert describe({"image": "b.png", "error": "It is empty", "code": "empty"}) == (
        "b.png: cannot be used: It is empty"
    )


@pytest.mark.usefixtures("at_hand")
def test_names_that_are_not_text_or_have_control_codes_are_printed_safely(
    images: Path, capsys: Capture
) -> None:
    (images / "a.png").rename(images / "\x1b[31m\udcff.png")
    text = command(cli.main, capsys, "diagnose", images, "--model", "m")
    as_json = command(cli.main, capsys, "diagnose", images, "--model", "m", "--json")
    assert (text.code, as_json.code) == (0, 0), text.err
    assert "?[31m\ufffd.png: " in text.out
    assert lines(as_json.out)[0]["image"].endswith("\x1b[31m\ufffd.png")


def test_dicom_files_of_a_folder_are_found(tmp_path: Path) -> None:
    from dermafed.client.clinic.diagnosis.diagnose_files import find_files

    for name in ("a.DCM", "b.dicom", "c.png", "d.txt", ".e.dcm"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_files([tmp_path])] == ["a.DCM", "b.dicom", "c.png"]
    assert {".dcm", ".dicom"} <= set(SUFFIXES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.png", "--model", "small.keras"), "no such file"),
        ((".", "--model", "small.keras"), "no image"),
        (("a.png", "--model", "missing.keras"), "missing.keras"),
        (("a.png", "--model", "small.keras", "--json", "--csv"), "one of --json and --csv"),
        (("a.png",), "--model"),
    ],
)
def test_bad_usage_is_refused_before_any_work(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    if "a.png" in arguments:
        draw_image(tmp_path / "a.png", 1)
    done = command(cli.main, capsys, "diagnose", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("at_hand")
def test_a_dicom_object_has_the_numbers_of_its_jpeg(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "b").write_bytes(dicom_jpeg(jpeg()))  # known by its content
    (tmp_path / "c.dcm").write_bytes(dicom_jpeg(jpeg())[:600])
    files = [tmp_path / name for name in ("a.jpg", "b", "c.dcm")]
    done = command(cli.main, capsys, "diagnose", *files, "--model", "m", "--json")
    assert done.code == 1
    plain, wrapped, cut = lines(done.out)
    assert wrapped["probabilities"] == plain["probabilities"]
    assert wrapped["id"] != plain["id"]
    assert cut["code"]
