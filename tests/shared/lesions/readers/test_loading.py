from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import SHARED, document, images, table

COCO: dict[str, list[dict[str, object]]] = {
    "images": [
        {"id": 7, "file_name": "images/a.jpg", "age": 40, "clinic": "east"},
        {"id": 8, "file_name": "b.jpg"},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1},
        {"id": 2, "image_id": 7, "category_id": 1},
        {"id": 3, "image_id": 8, "category_id": 2},
    ],
    "categories": [{"id": 1, "name": "melanoma"}, {"id": 2, "name": "nevus"}],
}


def labelme(image: str, *labels: str, **flags: bool) -> dict[str, object]:
    return {
        "shapes": [{"label": label} for label in labels],
        "imagePath": image,
        "flags": flags,
        "imageData": None,
    }


def labels(path: Path) -> dict[str, str]:
    return {record.image_id: record.label for record in load_dataset(path).records}


def test_reads_a_folder_per_class_with_and_without_sides(tmp_path: Path) -> None:
    plain = images(tmp_path / "plain", "nevus/a.jpg", "nevus/deep/b.jpg", "melanoma/c.tif", "masks/a.png")
    assert labels(plain) == {"a": "nevus", "b": "nevus", "c": "melanoma"}
    sided = images(tmp_path / "sided", "train/nevus/a.jpg", "train/melanoma/b.jpg", "test/nevus/c.jpg")
    assert {r.image_id: (r.label, r.attributes["split"]) for r in load_dataset(sided).records} == {
        "a": ("nevus", "train"),
        "b": ("melanoma", "train"),
        "c": ("nevus", "test"),
    }


def test_reads_coco_from_the_folder_or_the_file(tmp_path: Path) -> None:
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    path = document(tmp_path / "annotations" / "all.json", COCO)
    assert labels(tmp_path) == labels(path) == {"a": "melanoma", "b": "nevus"}
    a = load_dataset(path).records[0]
    assert (a.age, dict(a.attributes)) == (40.0, {"age": "40", "clinic": "east"})
    document(tmp_path / "annotations" / "other.json", COCO)
    with pytest.raises(DatasetError, match=r"several COCO files: all\.json, other\.json"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            {"id": 4, "image_id": 7, "category_id": 2},
            r"a\.jpg has two categories, melanoma and nevus .*annotation 4",
        ),
        ({"id": 4, "image_id": 9, "category_id": 2}, "no image 9"),
        ({"id": 4, "image_id": 7, "category_id": 3}, "no category 3"),
        ({"id": 4, "image_id": 7}, "category_id"),
        ("x", "malformed"),
    ],
)
def test_refuses_bad_coco(tmp_path: Path, annotation: object, message: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    document(tmp_path / "all.json", {**COCO, "annotations": [*COCO["annotations"], annotation]})
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path)


def test_refuses_coco_images_of_one_id(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    document(tmp_path / "all.json", {**COCO, "images": [image | {"id": 7} for image in COCO["images"]]})
    with pytest.raises(DatasetError, match="two images share an id"):
        load_dataset(tmp_path)


def test_refuses_coco_images_without_annotation(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    document(tmp_path / "all.json", {**COCO, "annotations": COCO["annotations"][:2]})
    with pytest.raises(DatasetError, match=r"image without label: 1 of them: b \(.*all\.json, image 8"):
        load_dataset(tmp_path)


def test_reads_labelme_by_flag_or_shapes(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    document(tmp_path / "a.json", labelme("..\\x\\a.jpg", "lesion", melanoma=True, nevus=False))
    document(tmp_path / "b.json", labelme("b.jpg", "nevus", "nevus"))
    assert labels(tmp_path) == {"a": "melanoma", "b": "nevus"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (labelme("b.jpg", "nevus", "melanoma"), r"several labels for one image: melanoma, nevus \(.*b\.json"),
        (labelme("b.jpg", nevus=True, melanoma=True), "several labels"),
        (labelme("b.jpg"), "image without label: 1 of them: b"),
        (labelme("c.jpg", "nevus"), "label without image: 1 of them: c"),
        ({"shapes": [{}], "imagePath": "b.jpg"}, r"a shape without label \(.*shape 1\)"),
        ({"name": "b"}, "not a LabelMe file"),
    ],
)
def test_refuses_bad_labelme(tmp_path: Path, content: object, message: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    document(tmp_path / "a.json", labelme("a.jpg", "nevus"))
    document(tmp_path / "b.json", content)
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path)


def test_refuses_what_is_not_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        load_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match="no images"):
        load_dataset(tmp_path)
    with pytest.raises(DatasetError, match="unknown format"):
        load_dataset(table(tmp_path / "notes.txt", "x"))
    images(tmp_path, "images/a.jpg")
    with pytest.raises(DatasetError, match=r"one folder of images \(images\) but no labels"):
        load_dataset(tmp_path)
    document(tmp_path / "x.json", {}).write_text('{"a": \n]')
    with pytest.raises(DatasetError, match=r"not JSON: .*x\.json, line 2, column 1"):
        load_dataset(tmp_path)


def test_follows_links_once(tmp_path: Path) -> None:
    images(tmp_path / "store", "a.jpg", "b.jpg")
    folder = images(tmp_path / "set", ".hidden.jpg", "__MACOSX/a.jpg")
    (folder / "images").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "loop").symlink_to(folder)
    table(folder / "m.csv", "image,label\na,nevus\nb,melanoma\n")
    assert labels(folder) == {"a": "nevus", "b": "melanoma"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data beside the checkout is absent")
@pytest.mark.parametrize("name", ["ham10000", "isic2017", "device_samples"])
def test_reads_the_real_sets_as_pandas_does(name: str) -> None:
    frame = pd.read_csv(SHARED / name / "metadata.csv")
    records = load_dataset(SHARED / name).records
    assert Counter(record.label for record in records) == frame["diagnosis"].value_counts().to_dict()
    assert [record.image_id for record in records] == sorted(frame["image_id"])
    ages = pd.to_numeric(frame["age"], errors="coerce")
    assert sum(record.age or 0 for record in records) == ages.sum()
    assert sum(record.age is None for record in records) == ages.isna().sum()
    if "lesion_id" in frame:
        assert len({record.lesion_id for record in records} - {None}) == frame["lesion_id"].nunique()
    assert all((record.mask is not None) == (name == "ham10000") for record in records)


def test_the_folder_of_an_archive_is_entered(tmp_path: Path) -> None:
    folder = tmp_path / "archive" / "data"
    images(folder, "nevus/a.jpg", "melanoma/b.jpg")
    table(tmp_path / "README.md", "")
    assert load_dataset(tmp_path).source == folder
    for path in (folder / "melanoma").iterdir():
        path.unlink()
    (folder / "melanoma").rmdir()
    with pytest.raises(DatasetError, match=r"one folder of images \(nevus\) but no labels"):
        load_dataset(tmp_path)
    table(folder / "nevus" / "m.csv", "image,dx\na,nv\n")
    assert load_dataset(tmp_path).kind == "CSV manifest"


def test_folders_that_link_to_themselves_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path)
    with pytest.raises(DatasetError, match="no images"):
        load_dataset(tmp_path)


def test_an_image_outside_the_sides_of_a_split_is_no_class(tmp_path: Path) -> None:
    images(
        tmp_path, "train/nevus/a.jpg", "train/melanoma/b.jpg", "Test/nevus/c.jpg", "logo.png", "train/d.jpg"
    )
    with pytest.raises(DatasetError, match=r"image without label: 2 of them: logo .*, d "):
        load_dataset(tmp_path)
    images(tmp_path, "melanoma/e.jpg")
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert {record.image_id: record.label for record in dataset.records} == {
        "a": "nevus",
        "b": "melanoma",
        "c": "nevus",
        "e": "melanoma",
    }
    assert [record.attributes.get("split") for record in dataset.records] == ["train", "train", "Test", None]


def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "metadata.xlsx")
    with pytest.raises(DatasetError, match=r"Save metadata\.xlsx as CSV, or give a CSV manifest"):
        load_dataset(tmp_path)
