"""Two data sets become one, with the images that have a clinic."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.simulation.studies.five_clinics import COLUMNS, join
from tests.commands.small_datasets import draw_image


def source(folder: Path, rows: list[tuple[str, str]], images: list[str]) -> Path:
    folder.mkdir()
    lines = [f"{name},,nevus,40,male,trunk,{clinic}" for name, clinic in rows]
    (folder / "metadata.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    for number, name in enumerate(images):
        draw_image(folder / f"{name}.png", number)
    return folder


def test_images_with_a_clinic_are_joined(tmp_path: Path) -> None:
    first = source(tmp_path / "first", [("a", "vienna"), ("b", "sydney")], ["a", "b"])
    second = source(tmp_path / "second", [("c", "MSK"), ("d", "")], ["c", "d"])
    assert join([first, second], tmp_path / "out") == 3
    with (tmp_path / "out" / "metadata.csv").open(newline="", encoding="utf-8") as file:
        assert [(row["image_id"], row["clinic"]) for row in csv.DictReader(file)] == [
            ("a", "vienna"),
            ("b", "sydney"),
            ("c", "MSK"),
        ]
    images = tmp_path / "out" / "images"
    assert (images / "c.png").read_bytes() == (second / "c.png").read_bytes()
    assert not (images / "d.png").exists()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    incomplete = source(tmp_path / "incomplete", [("a", "vienna")], ["b"])
    with pytest.raises(DatasetError, match="no image 'a'"):
        join([incomplete], tmp_path / "out")
    (incomplete / "metadata.csv").write_text("image_id,clinic\n")
    with pytest.raises(DatasetError, match="no column 'age'"):
        join([incomplete], tmp_path / "out")
    (incomplete / "metadata.csv").unlink()
    with pytest.raises(DatasetError, match=r"cannot be read.*metadata\.csv|metadata\.csv"):
        join([incomplete], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_malformed_manifest_and_a_repeated_name_are_refused(tmp_path: Path) -> None:
    first = source(tmp_path / "first", [("a", "vienna")], ["a"])
    second = source(tmp_path / "second", [("a", "MSK")], ["a"])
    with pytest.raises(DatasetError, match="Two images are named a"):
        join([first, second], tmp_path / "out")
    head = (first / "metadata.csv").read_text().splitlines()[0]
    (first / "metadata.csv").write_text(f'{head}\n"{"a" * (2**17 + 1)}')  # longer than csv takes a field
    with pytest.raises(DatasetError, match="cannot be read"):
        join([first], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_unchanged(tmp_path: Path) -> None:
    whole = source(tmp_path / "whole", [("a", "vienna")], ["a"])
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        join([whole], tmp_path / "out")
