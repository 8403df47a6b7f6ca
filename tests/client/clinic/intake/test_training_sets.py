"""Training sets reach for nothing outside their folder, and archives are not unpacked."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.client.clinic.intake.sample_files import jpeg

ELSEWHERE = "../secret.jpg"


def folder(tmp_path: Path) -> Path:
    """A data set with one image, and another image beside its folder."""
    inner = tmp_path / "set"
    inner.mkdir()
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (inner / "a.jpg").write_bytes(jpeg())
    return inner


@pytest.mark.parametrize("name", [ELSEWHERE, "/etc/secret.jpg", "..\\secret.jpg"])
def test_a_manifest_cannot_name_an_image_elsewhere(tmp_path: Path, name: str) -> None:
    inner = folder(tmp_path)
    (inner / "metadata.csv").write_text(f"image_id,diagnosis\na,nevus\n{name},melanoma\n", "utf-8")
    with pytest.raises(DatasetError, match="secret"):
        load_dataset(inner)


def test_coco_cannot_name_an_image_elsewhere(tmp_path: Path) -> None:
    inner = folder(tmp_path)
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": ELSEWHERE}]
    annotations = [{"id": n, "image_id": n, "category_id": 1} for n in (1, 2)]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "nevus"}]}
    (inner / "coco.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(DatasetError, match="secret"):
        load_dataset(inner)


def test_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(ELSEWHERE, jpeg())
    with pytest.raises(DatasetError):
        load_dataset(archive)
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]
