"""COCO JSON: the label of an image is the category of its annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import find_images, image_name
from dermafed.shared.lesions.readers.label_files import (
    document_kind,
    find_documents,
    folder_kind,
    read_document,
)
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records

_OWN_FIELDS = {"id", "file_name", "width", "height", "license", "flickr_url", "coco_url", "date_captured"}


def is_coco(path: Path) -> bool:
    """Whether this is a COCO file, or a folder whose first label file is one."""
    if path.is_dir():
        return folder_kind(path) == "COCO"
    return path.suffix.lower() == ".json" and document_kind(read_document(path)) == "COCO"


def read_coco(path: Path, skip_bad: bool) -> Dataset:
    """Read a COCO file, or the only one below a folder.

    Fields of an image beyond COCO's own (``lesion_id``, ``age``, ``clinic`` ...) become its metadata. Every
    image must be labelled, unless there are several COCO files and ``path`` names one.

    Args:
        path: the JSON file, in the folder of its images or in a folder ``annotations`` there; or that folder.
        skip_bad: leave out labels without image and images without label, instead of raising.

    Raises:
        DatasetError: several files, a broken reference, or an image with more than one category.
    """
    folder = path if path.is_dir() else _image_folder(path)
    files = find_images(folder)
    found = [each for each in find_documents(folder) if document_kind(read_document(each)) == "COCO"]
    path = _only(found, folder) if path.is_dir() else path
    document = read_document(path)
    try:
        labels = _labels(document, path)
        rows = [_row(image, labels, path) for image in document["images"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"an entry lacks the field {error} or is malformed",
            where=path,
            remedy="Export the file as COCO again",
        ) from error
    records, notes = to_records(rows, files, skip_bad=skip_bad, all_images=len(found) < 2)
    return Dataset(records, path, "COCO JSON", tuple(notes))


def _image_folder(path: Path) -> Path:
    """The folder of a COCO file's images: its own, or the one above its folder ``annotations``."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def _only(found: Sequence[Path], folder: Path) -> Path:
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DatasetError(
            f"several COCO files: {names}", where=folder, remedy=f"Choose one, such as {found[0]}"
        )
    return found[0]


def _labels(document: Mapping[str, Any], path: Path) -> dict[Any, str]:
    """The category of each image that is annotated, by image id."""
    categories = {category["id"]: str(category["name"]) for category in document["categories"]}
    names = {image["id"]: image["file_name"] for image in document["images"]}
    if len(names) < len(document["images"]):
        raise DatasetError("two images share an id", where=path, remedy="Export the file as COCO again")
    labels: dict[Any, str] = {}
    for annotation in document["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        place = f"{path}, annotation {annotation.get('id')}"
        if category not in categories or image not in names:
            what, number = ("category", category) if category not in categories else ("image", image)
            raise DatasetError(
                f"there is no {what} {number}", where=place, remedy="Export the file as COCO again"
            )
        if labels.setdefault(image, categories[category]) != categories[category]:
            raise DatasetError(
                f"{names[image]} has two categories, {labels[image]} and {categories[category]}",
                where=place,
                remedy="Keep one category for each image",
            )
    return labels


def _row(image: Mapping[str, Any], labels: Mapping[Any, str], path: Path) -> LabelRow:
    attributes = {
        key: "" if value is None else str(value)
        for key, value in image.items()
        if key not in _OWN_FIELDS and not isinstance(value, (dict, list))
    }
    place = f"{path}, image {image['id']}"
    return LabelRow(image_name(image["file_name"]), labels.get(image["id"], ""), place, attributes)
