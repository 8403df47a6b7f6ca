"""COCO files whose own name tells the folder of their images."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import document, images


def labels(path: Path) -> dict[str, str]:
    return {record.image_id: record.label for record in load_dataset(path).records}


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/{}.json", "images/{}"),
        ("labels/{}.json", "images/{}"),
        ("{}.json", "{}"),
    ],
)
def test_one_side_of_coco_named_by_its_file(tmp_path: Path, file: str, folder: str) -> None:
    for side, name in (("train", "nevus"), ("val", "melanoma")):
        images(tmp_path / folder.format(side), "1.jpg", "2.jpg")
        content = {
            "images": [{"id": number, "file_name": f"{number}.jpg"} for number in (1, 2)],
            "annotations": [{"image_id": number, "category_id": 1} for number in (1, 2)],
            "categories": [{"id": 1, "name": name}],
        }
        document(tmp_path / file.format(side), content)
    both = labels(tmp_path)
    assert both == {f"{folder.format('train')}/{number}": "nevus" for number in (1, 2)} | {
        f"{folder.format('val')}/{number}": "melanoma" for number in (1, 2)
    }
    dataset = load_dataset(tmp_path / file.format("val"))
    assert {record.image_id: record.label for record in dataset.records} == {
        id: label for id, label in both.items() if label == "melanoma"
    }
    assert dataset.notes[0].startswith("2 left out, image not named: ")
