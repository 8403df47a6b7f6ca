"""``fl-simulate`` on input that cannot be used: a message, exit code 2, no files."""

from __future__ import annotations

import errno
import shutil
import socket
from collections import namedtuple
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.simulation import cli
from dermafed.simulation.runs.example_images import example_stages
from dermafed.simulation.runs.prepare import prepare
from dermafed.simulation.runs.run_settings import RunSettings, save_settings
from tests.commands.small_datasets import LABELS, Outcome, command, draw_dataset, draw_image, edit_manifest

Refused = Callable[..., str]
SMALL = PreprocessSettings(image_size=32, clahe_grid=4)
FIRST = ("image_000,image_000,melanoma,north", "image_000")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs fl-simulate, which must refuse; returns the message."""

    def run(*arguments: object) -> str:
        before = set(tmp_path.iterdir())
        outcome = command(cli.main, capsys, *arguments, "--weights", "none", "--out", tmp_path / "out")
        assert set(tmp_path.iterdir()) == before
        return message_of(outcome)

    return run


def message_of(outcome: Outcome) -> str:
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    message = outcome.err[outcome.err.index("Error: ") :]
    assert message.rstrip().endswith("."), "there is no remedy"
    return message


def nothing_may_start(*_: object, **__: object) -> NoReturn:
    raise AssertionError("the work started")


def test_a_missing_folder_is_named(refused: Refused, tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in refused("--data", tmp_path / "nowhere")


def test_a_folder_without_images_is_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = refused("--data", tmp_path / "empty")
    assert "no images" in message
    assert str(tmp_path / "empty") in message


def test_an_unknown_label_is_named_with_an_image(refused: Refused, data: Path) -> None:
    edit_manifest(data, FIRST[0], FIRST[0].replace("melanoma", "melonoma"))
    message = refused("--data", data)
    assert "'melonoma'" in message
    assert "image_000.png" in message


def test_a_label_without_image_is_named_with_its_row(refused: Refused, data: Path) -> None:
    (data / "images" / "image_003.png").unlink()
    message = refused("--data", data)
    assert "label without image: 1" in message
    assert "image_003" in message
    assert "metadata.csv, row 5" in message


def test_an_image_without_label_is_named(refused: Refused, data: Path) -> None:
    draw_image(data / "images" / "stray.png", 999)
    message = refused("--data", data)
    assert "image without label: 1" in message
    assert "stray" in message


@pytest.mark.parametrize("size", [0, 60], ids=["empty", "truncated"])
def test_a_bad_image_is_named(refused: Refused, data: Path, size: int) -> None:
    damage(data / "images" / "image_007.png", size)
    assert "image_007.png" in refused("--data", data, "--image-size", 32)


def test_bad_images_are_skipped_on_request_and_counted(data: Path) -> None:
    damage(data / "images" / "image_007.png", 60)
    damage(data / "images" / "image_022.png", 0)
    prepared = prepare(data, RunSettings(skip_bad=True), SMALL)
    assert "Skipped 2 unreadable images, the first: image_007.png" in prepared.notes
    assert sum(sum(clinic.images_per_class(LABELS).values()) for clinic in prepared.clinics) == 28


def test_a_paper_class_that_no_clinic_has_is_allowed(tmp_path: Path) -> None:
    data = draw_dataset(tmp_path / "data", labels=["melanoma", "nevus"])
    prepared = prepare(data, RunSettings(), SMALL)
    assert all(
        clinic.images_per_class(prepared.class_map.names)["seborrheic_keratosis"] == 0
        for clinic in prepared.clinics
    )
    assert [name for name, _ in example_stages(prepared, SMALL)] == ["melanoma", "nevus"]
    (note,) = (note for note in prepared.notes if "training image" in note)
    assert note.startswith("No clinic has a training image of seborrheic_keratosis: no model can find it")


def test_a_single_class_is_refused(refused: Refused, tmp_path: Path) -> None:
    one = draw_dataset(tmp_path / "one", labels=["nevus"])
    assert "only 1 of the classes" in refused("--data", one)


def test_a_clinic_with_too_few_images_is_named(refused: Refused, data: Path) -> None:
    edit_manifest(data, FIRST[0], FIRST[0].replace("north", "tiny practice"))
    assert "tiny practice has too few images to split" in refused("--data", data)


def test_a_manifest_with_wrong_columns_is_named(refused: Refused, data: Path) -> None:
    edit_manifest(data, "diagnosis", "findings")
    message = refused("--data", data)
    assert "no label column" in message
    assert "metadata.csv, row 1" in message


@pytest.mark.parametrize("spec", ["hospital", "iid:0", "iid:two", "dirichlet:2", "dirichlet:2:-1", "iid:99"])
def test_clinics_that_cannot_be_made_are_refused_before_preprocessing(
    refused: Refused, data: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermafed.shared.imaging.cache.PreprocessCache.load", nothing_may_start)
    assert "--clinics" in refused("--data", data, "--clinics", spec)


@pytest.mark.parametrize("spec", ["mel=", "a=melanoma,a=nevus", "a=melanoma,b=blue", "paperr"])
def test_malformed_classes_are_refused(refused: Refused, data: Path, spec: str) -> None:
    assert "--classes" in refused("--data", data, "--classes", spec)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--strategy", "fedmagic"),
        ("--backbone", "ResNet50"),
        ("--engine", "cloud"),
        ("--split", "odd"),
        ("--denoise", "median"),
        ("--fit", "stretch"),
        ("--balance", "luck"),
        ("--batch-norm", "thawed"),
        ("--learning-rate", "-1"),
        ("--learning-rate", "nan"),
    ],
)
def test_an_unknown_setting_is_refused_before_any_work(
    refused: Refused, option: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermafed.simulation.runs.run.draw_once", nothing_may_start)
    assert value.lstrip("-") in refused(option, value)


def test_a_number_out_of_range_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = command(cli.main, capsys, "--image-size", "5000")
    assert (outcome.code, outcome.out) == (2, "")
    assert "5000 is not in the range 32<=x<=2048" in " ".join(outcome.err.replace("│", "").split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--weights", "nowhere.h5"), "nowhere.h5"),
        (("--weights", "lite0", "--backbone", "EfficientNetB1"), "EfficientNetB0"),
        (("--weights", "none", "--batch-norm", "frozen"), "frozen"),
    ],
)
def test_unsuitable_weights_are_refused_before_any_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.setattr("dermafed.simulation.runs.run.draw_once", nothing_may_start)
    message = message_of(command(cli.main, capsys, *arguments, "--out", tmp_path / "out"))
    assert expected in message
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_unchanged(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    message = message_of(command(cli.main, capsys, "--data", data, "--out", tmp_path / "out"))
    assert "in use" in message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_an_empty_folder_stays_empty_when_the_data_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    message_of(command(cli.main, capsys, "--data", tmp_path / "nowhere", "--out", tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    assert str(out) in message_of(command(cli.main, capsys, "--data", data, "--out", out))


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_settings(tmp_path, RunSettings(rounds=3), threads=1)
    before = (tmp_path / "settings.json").read_bytes()
    message = message_of(command(cli.main, capsys, "--resume", tmp_path, "--rounds", 5))
    assert "rounds = 3, not 5" in message
    assert (tmp_path / "settings.json").read_bytes() == before


def test_a_run_goes_on_in_another_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_settings(tmp_path, RunSettings(engine="ray", address="10.0.0.5:6379"), threads=1)
    asked: list[RunSettings] = []
    monkeypatch.setattr(cli, "_run", lambda settings, *others: asked.append(settings))
    for given, used in (((), "10.0.0.5:6379"), (("--address", "10.0.0.7:6379"), "10.0.0.7:6379")):
        assert command(cli.main, capsys, "--resume", tmp_path, *given).code == 0
        assert asked[-1].address == used


def test_an_address_that_is_none_or_of_another_engine_is_named(refused: Refused, data: Path) -> None:
    assert "--address" in refused("--data", data, "--address", "auto")
    assert "HOST:PORT" in refused("--data", data, "--engine", "ray", "--address", "here")


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_cluster_that_does_not_answer_ends_the_run_before_it_begins(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as port:
        address = f"127.0.0.1:{port.getsockname()[1]}"  # free again below
    given = ("--data", data, "--engine", "ray", "--address", address, "--weights", "none")
    outcome = command(cli.main, capsys, *given, "--out", tmp_path / "out")
    assert outcome.code == 1
    said = " ".join(outcome.err.split())
    assert f"Error: No Ray cluster answers: Connection refused ({address}). Start it" in said
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, "", "[]", '"text"', '{"threads": 1, "colour": "red"}', "\xff"])
def test_a_folder_without_a_run_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "settings.json").write_text(content, "latin-1")
    assert str(tmp_path) in message_of(command(cli.main, capsys, "--resume", tmp_path))


def test_a_file_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert "no run to resume" in message_of(command(cli.main, capsys, "--resume", tmp_path / "file"))


def test_too_little_disk_space_is_an_error_at_once(
    refused: Refused, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    assert "1 MB are free" in refused("--data", data)


def test_a_full_disk_is_an_error(refused: Refused, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device", "out/sites")

    monkeypatch.setattr("dermafed.simulation.runs.prepare.write_clinic_split", full)
    assert "No space left on device" in refused("--data", data, "--image-size", 32)


def damage(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
