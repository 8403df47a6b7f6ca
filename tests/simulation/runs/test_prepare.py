"""From a data set to clinics."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

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
