"""COCO JSON: the label of an image is the category of its annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import ImageFiles, image_name
from dermafed.shared.lesions.readers.label_files import read_document
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records

_OWN_FIELDS = {"id", "file_name", "width", "height", "license", "flickr_url", "coco_url", "date_captured"}


def read_coco(path: Path, files: ImageFiles, *, skip_bad: bool = False, all_images: bool = True) -> Dataset:
    """Read a COCO file.

    Fields of an image beyond COCO's own (``lesion_id``, ``age``, ``clinic`` ...) become its metadata.

    Args:
        path: the JSON file.
        files: the images there are.
        skip_bad: leave out labels without image and images without label, instead of raising.
        all_images: every image must be labelled.

    Raises:
        DatasetError: a broken reference, or an image with more than one category.
    """
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
    records, notes = to_records(rows, files, skip_bad=skip_bad, all_images=all_images)
    return Dataset(records, path, "COCO JSON", tuple(notes))


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
