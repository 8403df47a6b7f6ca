"""Images of kinds that are not read, and those in folders of systems: none vanishes without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import document, images, table


def labels(path: Path, *, skip_bad: bool = False) -> dict[str, str]:
    return {record.image_id: record.label for record in load_dataset(path, skip_bad=skip_bad).records}


def test_every_suffix_of_jpeg_is_read(tmp_path: Path) -> None:
    images(tmp_path, "nevus/a.jfif", "nevus/b.JPE", "melanoma/c.jpg", "melanoma/d.pjpeg")
    assert labels(tmp_path) == {"a": "nevus", "b": "nevus", "c": "melanoma", "d": "melanoma"}


def test_other_kinds_of_image_are_counted_and_named(tmp_path: Path) -> None:
    images(tmp_path, "nevus/a.jpg", "nevus/b.HEIC", "nevus/c.heic", "melanoma/d.jpg", "melanoma/e.dcm")
    (note,) = load_dataset(tmp_path).notes
    assert note == ("3 left out, images of a kind that is not read: 1 .dcm, 2 .heic, such as melanoma/e.dcm")


def test_images_without_suffix_are_counted(tmp_path: Path) -> None:
    images(tmp_path, "nevus/a.jpg", "melanoma/d.jpg", "nevus/README")
    for name, start in {
        "b": b"\xff\xd8\xff\xe0",
        "IM0001": bytes(128) + b"DICM",
        "c": b"\x89PNG\r\n\x1a\n",
    }.items():
        (tmp_path / "melanoma" / name).write_bytes(start)
    (note,) = load_dataset(tmp_path).notes
    assert note.startswith("3 left out, images of a kind that is not read: 3 without suffix")
    table(tmp_path / "m.csv", "image,label\na,nv\nd,mel\nb,mel\n")
    with pytest.raises(DatasetError, match=r"label without image: 1 of them: b .*3 without suffix"):
        load_dataset(tmp_path)


def test_a_class_of_another_kind_of_image_is_explained(tmp_path: Path) -> None:
    images(tmp_path, "nevus/a.jpg", "melanoma/d.heic")
    with pytest.raises(
        DatasetError, match=r"one folder of images \(nevus\) but no labels; 1 left out, .*\.heic"
    ):
        load_dataset(tmp_path)


def test_where_all_rows_are_bad_the_message_says_why(tmp_path: Path) -> None:
    images(tmp_path, "p/a.jpg", "q/a.jpg")
    table(tmp_path / "m.csv", "image,label\na,nv\n")
    with pytest.raises(
        DatasetError, match="no labelled image: 1 left out, bad entry: two images are named 'a'"
    ):
        load_dataset(tmp_path, skip_bad=True)


def test_a_label_of_another_kind_of_image_is_explained(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.heic")
    path = table(tmp_path / "m.csv", "image,label\na.jpg,nv\nb.heic,mel\n")
    with pytest.raises(DatasetError, match=r"label without image: 1 of them: b .*not read: 1 \.heic"):
        load_dataset(path)
    assert labels(path, skip_bad=True) == {"a": "nv"}
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(
        DatasetError, match=r"no images; 1 left out, images of a kind that is not read: 1 \.heic"
    ):
        load_dataset(path)


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir/a.jpg",
        "#recycle",
        "$RECYCLE.BIN/S-1",
        "lost+found",
        "System Volume Information",
        ".Trash-1000",
        "FOUND.001",
        "LOST.DIR",
        "_vti_cnf",
    ],
)
def test_system_folders_are_no_classes(tmp_path: Path, name: str) -> None:
    images(tmp_path, "nevus/a.jpg", "melanoma/b.jpg", f"{name}/x.jpg", f"nevus/{name}/a.jpg")
    document(tmp_path / name / "x.json", {"shapes": [], "imagePath": "x.jpg"})
    dataset = load_dataset(tmp_path)
    assert {record.image_id: record.label for record in dataset.records} == {"a": "nevus", "b": "melanoma"}
    hidden = name.startswith(".")
    assert any(note.startswith("2 left out, images in system folders") for note in dataset.notes) != hidden
