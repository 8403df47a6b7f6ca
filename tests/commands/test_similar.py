"""``fl-client similar``: the nearest cases of a clinic, its index, and what is refused."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dermafed.client import cli
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel, open_model
from dermafed.client.clinic.similar import confirmed_cases
from dermafed.client.clinic.similar.case_index import load_index
from dermafed.client.node.home import Home, make_home
from dermafed.client.node.reviewed import ReviewedRow, add_reviewed
from tests.client.small_model import save_small_model
from tests.commands.small_datasets import (
    LABELS,
    command,
    draw_dataset,
    draw_image,
    needs_real_images,
    real_dataset,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def opened(model: Path) -> OpenedModel:
    return open_model(str(model))


@pytest.fixture(autouse=True)
def at_hand(opened: OpenedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The model opened once, since that takes seconds; a cache of the test's own."""
    monkeypatch.setattr("dermafed.client.clinic.diagnosis.opened_model.open_model", lambda *_: opened)
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))


def clinic(folder: Path, lesions: int = 2) -> Home:
    return make_home(folder / "clinic", "graz", draw_dataset(folder / "data", ("graz",), lesions))


def ask(capsys: Capture, home: Home, image: Path, *more: object) -> dict[str, Any]:
    done = command(cli.main, capsys, "similar", image, "--model", "m", "--dir", home.folder, "--json", *more)
    assert done.code == 0, done.err
    answer: dict[str, Any] = json.loads(done.out)
    return answer


def test_the_answer_has_cases_of_this_clinic_with_id_and_diagnosis_and_no_path(
    tmp_path: Path, capsys: Capture
) -> None:
    home = clinic(tmp_path)
    draw_image(tmp_path / "new.png", 77)
    answer = ask(capsys, home, tmp_path / "new.png")
    assert list(answer) == ["image", "model", "cases", "note", "similar"]
    assert answer["cases"] == 6
    assert "no diagnosis" in answer["note"]
    with (tmp_path / "data" / "metadata.csv").open(newline="") as file:
        known = {row["image_id"]: row["diagnosis"] for row in csv.DictReader(file)}
    assert len(answer["similar"]) == 5
    for each in answer["similar"]:
        assert list(each) == ["id", "diagnosis", "confirmed_by", "distance"]
        assert known[each["id"]] == each["diagnosis"]
    assert str(tmp_path / "data") not in json.dumps(answer["similar"])


def test_an_image_of_the_clinic_is_not_similar_to_itself(tmp_path: Path, capsys: Capture) -> None:
    home = clinic(tmp_path)
    answer = ask(capsys, home, tmp_path / "data" / "images" / "image_003.png")
    assert "image_003" not in {each["id"] for each in answer["similar"]}


def test_an_accepted_diagnosis_is_a_case_and_only_it_is_prepared(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = clinic(tmp_path)
    draw_image(tmp_path / "new.png", 77)
    ask(capsys, home, tmp_path / "new.png")
    prepared: list[str] = []
    real = confirmed_cases.content_digest

    def digest(path: Path) -> str:
        prepared.append(path.name)
        return real(path)

    monkeypatch.setattr(confirmed_cases, "content_digest", digest)
    written = home.similar.stat().st_mtime_ns
    ask(capsys, home, tmp_path / "new.png")
    assert (prepared, home.similar.stat().st_mtime_ns) == ([], written)
    draw_image(tmp_path / "accepted.png", 78)
    row = ReviewedRow("f" * 32, "lesion", "", LABELS[0], "histopathology", "", "", "")
    add_reviewed(home.reviewed, row, ".png", (tmp_path / "accepted.png").read_bytes())
    answer = ask(capsys, home, tmp_path / "accepted.png")
    assert prepared == [f"{'f' * 32}.png"]
    assert answer["cases"] == 7
    draw_image(tmp_path / "other.png", 79)
    answers = ask(capsys, home, tmp_path / "other.png")["similar"]
    ways = {each["id"]: each["confirmed_by"] for each in answers}
    assert ways.pop("f" * 32, "histopathology") == "histopathology"
    assert set(ways.values()) == {""}


def test_a_case_that_is_forgotten_while_others_are_prepared_is_not_in_the_index(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = clinic(tmp_path)
    draw_image(tmp_path / "new.png", 77)
    row = ReviewedRow("f" * 32, "lesion", "", LABELS[0], "", "", "", "")
    add_reviewed(home.reviewed, row, ".png", (tmp_path / "new.png").read_bytes())
    real = confirmed_cases.apply_in_batches

    def prepare(*inputs: Any) -> Any:
        found = real(*inputs)
        (home.reviewed / "metadata.csv").unlink()
        return found

    monkeypatch.setattr(confirmed_cases, "apply_in_batches", prepare)
    draw_image(tmp_path / "other.png", 78)
    assert ask(capsys, home, tmp_path / "other.png")["cases"] == 6
    assert b"f" * 32 not in home.similar.read_bytes()


def test_a_changed_image_is_prepared_anew_and_one_that_is_gone_leaves(
    tmp_path: Path, capsys: Capture, opened: OpenedModel
) -> None:
    home, images = clinic(tmp_path), tmp_path / "data" / "images"
    draw_image(tmp_path / "new.png", 77)
    ask(capsys, home, tmp_path / "new.png")
    before = load_index(home.similar, opened.used.sha256)
    (images / "image_000.png").write_bytes((images / "image_001.png").read_bytes())
    os.utime(images / "image_000.png", ns=(1, 1))
    (images / "image_005.png").unlink()
    answer = ask(capsys, home, tmp_path / "new.png")
    after = load_index(home.similar, opened.used.sha256)
    assert before is not None
    assert after is not None
    assert answer["cases"] == 5
    assert np.array_equal(after.features[1:], before.features[1:5])
    assert not np.array_equal(after.features[0], before.features[0])
    assert np.allclose(after.features[0], before.features[1], atol=1e-5)


def test_an_index_of_another_model_is_made_anew(tmp_path: Path, capsys: Capture, opened: OpenedModel) -> None:
    home = clinic(tmp_path)
    draw_image(tmp_path / "new.png", 77)
    first = ask(capsys, home, tmp_path / "new.png")
    index = load_index(home.similar, opened.used.sha256)
    assert index is not None
    type(index)("cd" * 32, index.cases, index.features[:, ::-1].copy()).save(home.similar)
    assert ask(capsys, home, tmp_path / "new.png") == first
    again = load_index(home.similar, opened.used.sha256)
    assert again is not None
    assert np.array_equal(again.features, index.features)


def test_a_clinic_without_another_case_is_told_none(tmp_path: Path, capsys: Capture) -> None:
    data = draw_dataset(tmp_path / "data", ("graz",), 1, ("nevus",))
    home, image = make_home(tmp_path / "clinic", "graz", data), data / "images" / "image_000.png"
    assert ask(capsys, home, image, "--out", tmp_path / "none.png")["similar"] == []
    assert not (tmp_path / "none.png").exists()
    done = command(cli.main, capsys, "similar", image, "--model", "m", "--dir", home.folder)
    assert (done.code, done.out) == (0, "")
    assert "None: no other case of this clinic" in done.err


def test_the_picture_and_the_text(tmp_path: Path, capsys: Capture) -> None:
    home, out = clinic(tmp_path), tmp_path / "sheet.png"
    draw_image(tmp_path / "new.png", 77)
    answer = ask(capsys, home, tmp_path / "new.png", "--out", out)
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] > 3 * picture.shape[0]
    assert out.stat().st_mode & 0o077 == 0
    done = command(cli.main, capsys, "similar", tmp_path / "new.png", "--model", "m", "--dir", home.folder)
    lines = done.out.splitlines()
    assert [line.split(": ")[1].split(" (")[0] for line in lines] == [
        each["id"] for each in answer["similar"]
    ]
    assert lines[0].startswith(f"1. {answer['similar'][0]['diagnosis']}: ")
    assert "Not a vote, no diagnosis." in done.err


def test_what_cannot_be_used_is_refused(tmp_path: Path, capsys: Capture) -> None:
    home = clinic(tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 no image")
    for image, folder in (("bad.jpg", home.folder), ("missing.jpg", home.folder), ("bad.jpg", tmp_path)):
        done = command(cli.main, capsys, "similar", tmp_path / image, "--model", "m", "--dir", folder)
        assert (done.code, done.out) == (2, ""), done.err
        assert "Traceback" not in done.err


@needs_real_images
@pytest.mark.journey
def test_real_images_of_the_same_lesion_are_never_shown(tmp_path: Path, capsys: Capture) -> None:
    data = real_dataset(tmp_path / "data", 6, ("graz",))
    home = make_home(tmp_path / "clinic", "graz", data)
    with (data / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lesions = {row["image_id"]: row["lesion_id"] for row in rows}
    for row in rows[::6]:
        (image,) = data.rglob(f"{row['image_id']}.*")
        found = [lesions[each["id"]] for each in ask(capsys, home, image)["similar"]]
        assert len(set(found)) == 5
        assert row["lesion_id"] not in found
