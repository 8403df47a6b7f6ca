"""From a data set to clinics."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.simulation.runs.prepare import prepare
from dermafed.simulation.runs.run_settings import RunSettings
from tests.commands.small_datasets import draw_dataset, write_manifest

SMALL = PreprocessSettings(image_size=32, denoise="none", clahe=False, clahe_grid=1)


def test_images_of_the_held_out_tests_lesions_are_left_out_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    data = draw_dataset(tmp_path / "data", clinics=("north",), lesions=6)
    with (data / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = [row | {"split": "train"} for row in csv.DictReader(file)]
    rows[0]["split"] = rows[6]["split"] = "test"
    rows[1]["lesion_id"] = rows[0]["lesion_id"]  # another image of a test lesion
    (data / "images" / "image_007.png").write_bytes((data / "images" / "image_006.png").read_bytes())
    write_manifest(data, rows)

    prepared = prepare(data, RunSettings(clinics="iid:1", split="held-out"), SMALL)
    splits = prepared.clinics[0].splits
    assert [record.image_id for record in splits.test] == ["image_000", "image_006"]
    remaining = {record.image_id for record in (*splits.train, *splits.validation)}
    assert remaining == {f"image_{n:03d}" for n in range(18)} - {
        "image_000",
        "image_001",
        "image_006",
        "image_007",
    }
    assert "Images left out of training, for they show lesions of the test: 2" in prepared.notes


def test_images_without_a_clinic_are_skipped_on_request_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    data = draw_dataset(tmp_path / "data", clinics=("north",), lesions=6)
    with (data / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[3]["clinic"] = "unknown"
    write_manifest(data, rows)
    with pytest.raises(DatasetError, match="1 of 18 images have no clinic"):
        prepare(data, RunSettings(), SMALL)
    prepared = prepare(data, RunSettings(skip_bad=True), SMALL)
    assert [clinic.name for clinic in prepared.clinics] == ["north"]
    assert "1 left out, image without clinic: such as image_003" in prepared.notes


def test_the_columns_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    data = draw_dataset(tmp_path / "data", clinics=("north",), lesions=6)
    text = (data / "metadata.csv").read_text("utf-8")
    (data / "metadata.csv").write_text(text.replace("image_id", "Bild", 1).replace("diagnosis", "Befund", 1))
    with pytest.raises(DatasetError, match="no image column"):
        prepare(data, RunSettings(), SMALL)
    assert prepare(data, RunSettings(image="Bild", label="befund"), SMALL).clinics
