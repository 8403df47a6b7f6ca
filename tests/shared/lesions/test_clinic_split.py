from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError, StorageError
from dermafed.shared.lesions.clinic_split import (
    SPLIT_FILE,
    ClinicSplit,
    read_clinic_split,
    split_folder,
    write_clinic_split,
)
from dermafed.shared.lesions.record import LesionRecord, Splits

FULL = LesionRecord(
    "a,1", Path("/images/a 1.jpg"), "nevus", "L1", "P1", 45.5, "female", 'the "back"', Path("/masks/a.png")
)
BARE = LesionRecord("b", Path("/images/b.jpg"), "melanoma")
SPLITS = Splits((FULL, BARE), (LesionRecord("c", Path("/images/ç.png"), "nevus", age=0.0),), ())


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "Graz"
    write_clinic_split(folder, SPLITS)
    split = read_clinic_split(folder)
    assert split == ClinicSplit("Graz", SPLITS)
    assert split.images_per_class(("melanoma", "nevus", "other")) == {"melanoma": 1, "nevus": 2, "other": 0}


def test_a_split_has_the_same_records_but_its_images_may_move(tmp_path: Path) -> None:
    write_clinic_split(tmp_path, SPLITS)
    moved = replace(FULL, path=Path("/elsewhere/a 1.jpg"), mask=Path("/elsewhere/masks/a.png"))
    write_clinic_split(tmp_path, replace(SPLITS, train=(moved, BARE)))
    assert read_clinic_split(tmp_path).splits.train[0].path == moved.path
    with pytest.raises(DatasetError, match="not those that this run began with"):
        write_clinic_split(tmp_path, replace(SPLITS, train=(moved, replace(BARE, label="nevus"))))
    assert read_clinic_split(tmp_path).splits.train == (moved, BARE)


@pytest.mark.parametrize("name", ["Graz", "a/b", "..", ".hidden", "Zürich 1", "50%2F50", "a\\b"])
def test_any_name_has_a_folder_of_its_own(tmp_path: Path, name: str) -> None:
    folder = split_folder(tmp_path, name)
    write_clinic_split(folder, SPLITS)
    assert folder.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert read_clinic_split(folder).name == name


HEADER = "split,image_id,path,label,lesion_id,patient_id,age,sex,site,mask\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"image,label\na,nevus\n",
        f"{HEADER}train,a,/a.jpg\n".encode(),
        f"{HEADER}train,a,/a.jpg,nevus,,,,,,,more\n".encode(),
        f"{HEADER}holdout,a,/a.jpg,nevus,,,,,,\n".encode(),
        f"{HEADER}train,a,/a.jpg,nevus,,,old,,,\n".encode(),
        f"{HEADER}\n".encode(),
        HEADER.encode() + b"\xff\xfe",
        HEADER.encode() + b"train,\x00,/a.jpg,nevus,,,,,,\n"[:9],
        HEADER.encode() + b"train,a," + b"x" * 200_000,
    ],
)
def test_a_damaged_split_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SPLIT_FILE).write_bytes(content)
    with pytest.raises(DatasetError, match="not the split of a clinic") as caught:
        read_clinic_split(tmp_path)
    assert caught.value.where == str(tmp_path / SPLIT_FILE)


def test_a_missing_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        read_clinic_split(tmp_path / "absent")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Cannot write"):
        write_clinic_split(tmp_path / "file" / "split", SPLITS)
