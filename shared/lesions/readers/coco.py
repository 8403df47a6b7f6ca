"""COCO JSON: the label of an image is the category of its annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import composed
from dermafed.shared.lesions.readers.faults import Faults
from dermafed.shared.lesions.readers.image_files import ImageFiles, find_images
from dermafed.shared.lesions.readers.label_files import (
    document_kind,
    find_documents,
    holds_coco,
    path_beside,
    read_document,
)
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records

_OWN_FIELDS = {"id", "file_name", "width", "height", "license", "flickr_url", "coco_url", "date_captured"}
_SIDE = re.compile(r"(?:^|[^a-z])((train|training|val|valid|validation|test|testing)(?:[0-9]*))(?:$|[^a-z])")
_LABEL_FOLDERS = ("annotations", "labels")
_REMEDY = "Export the file as COCO again"


def is_coco(path: Path) -> bool:
    """Whether this is a COCO file, or a folder that has one."""
    if path.is_dir():
        return holds_coco(path)
    return path.suffix.lower() == ".json" and document_kind(read_document(path)) == "COCO"


def read_coco(path: Path, skip_bad: bool) -> Dataset:
    """Read a COCO file, or those below a folder: one, or one for each side of a split.

    Fields of an image beyond COCO's own (``lesion_id``, ``age``, ``clinic`` ...) become its metadata. Every
    image must be labelled, unless there are several COCO files and ``path`` names one. Where there is a file
    for each side, its name becomes the attribute ``split``.

    Args:
        path: the JSON file, in the folder of its images or in a folder ``annotations`` there; or that folder.
        skip_bad: leave out labels without image, images without label and bad entries, instead of raising.

    Raises:
        DatasetError: several files of no split, a broken reference, or an image with more than one category.
    """
    folder = path if path.is_dir() else _image_folder(path)
    files, faults = find_images(folder), Faults(skip_bad)
    found = [each for each in find_documents(folder) if _is_document(each, faults)]
    chosen = _sides(found, folder) if path.is_dir() else {path: ""}
    rows = [row for file, side in chosen.items() for row in _rows(file, side, files, faults)]
    records, notes = to_records(rows, files, faults, all_images=len(chosen) == max(len(found), 1))
    return Dataset(records, path if len(chosen) > 1 else next(iter(chosen)), "COCO JSON", tuple(notes))


def _is_document(path: Path, faults: Faults) -> bool:
    with faults.left_out():
        return document_kind(read_document(path)) == "COCO"
    return False


def _image_folder(path: Path) -> Path:
    """The folder of a COCO file's images: its own, or the one above its folder of labels."""
    return path.parent.parent if path.parent.name in _LABEL_FOLDERS else path.parent


def _sides(found: Sequence[Path], folder: Path) -> dict[Path, str]:
    """The side of the split that each file is for, by its own name or its folder's; one file is for none."""
    if len(found) == 1:
        return {found[0]: ""}
    sides = {path: _side(path.relative_to(folder)) for path in found}
    if "" in sides.values() or len(set(sides.values())) < len(sides):
        names = ", ".join(path.name for path in found)
        raise DatasetError(
            f"several COCO files: {names}", where=folder, remedy=f"Choose one, such as {found[0]}"
        )
    return sides


def _side(path: Path) -> str:
    names = (path.stem, *reversed(path.parts[:-1]))
    found = (_SIDE.search(name.casefold()) for name in names)
    return next((match[1] for match in found if match), "")


def _rows(path: Path, side: str, files: ImageFiles, faults: Faults) -> list[LabelRow]:
    document = read_document(path)
    images = _by_id(document["images"], "file_name", path, faults)
    categories = _by_id(document["categories"], "name", path, faults)
    labels: dict[Any, set[str]] = {}
    for annotation in document["annotations"]:
        with faults.left_out(), _well_formed(path):
            image = annotation["image_id"]
            label = _label(annotation, images, categories, path)
            labels.setdefault(image, set()).add(label)
            if len(labels[image]) > 1:
                raise DatasetError(
                    f"{images[image]['file_name']} has two categories, {' and '.join(sorted(labels[image]))}",
                    where=f"{path}, annotation {annotation.get('id')}",
                    remedy="Keep one category for each image",
                )
    rows: list[LabelRow] = []
    for id, image in images.items():
        with faults.left_out(), _well_formed(path):
            row = _row(image, "".join(labels.get(id, ())), path, side, files)
            faults.images.add(row.image_id)
            rows += [] if len(labels.get(id, ())) > 1 else [row]
    return rows


def _by_id(entries: Sequence[Any], name: str, path: Path, faults: Faults) -> dict[Any, Mapping[str, Any]]:
    """The images or the categories by id, each with its name; of those that share an id, none."""
    known: dict[Any, Mapping[str, Any]] = {}
    twice: set[Any] = set()
    for entry in entries:
        with faults.left_out(), _well_formed(path):
            id = entry["id"]
            if not isinstance(entry[name], str):
                raise TypeError(name)
            if known.setdefault(id, entry) is not entry:
                twice.add(id)
                what = "images" if name == "file_name" else "categories"
                raise DatasetError(f"two {what} share an id", where=f"{path}, id {id}", remedy=_REMEDY)
    return {id: entry for id, entry in known.items() if id not in twice}


def _label(
    annotation: Mapping[str, Any], images: Mapping[Any, Any], categories: Mapping[Any, Any], path: Path
) -> str:
    image, category = annotation["image_id"], annotation["category_id"]
    for what, number, known in (("category", category, categories), ("image", image, images)):
        if number not in known:
            place = f"{path}, annotation {annotation.get('id')}"
            raise DatasetError(f"there is no {what} {number!r}", where=place, remedy=_REMEDY)
    return composed(str(categories[category]["name"]).strip())


def _row(image: Mapping[str, Any], label: str, path: Path, side: str, files: ImageFiles) -> LabelRow:
    attributes = {"split": side.rstrip("0123456789")} if side else {}
    attributes |= {
        composed(key): "" if value is None else composed(str(value))
        for key, value in image.items()
        if key not in _OWN_FIELDS and not isinstance(value, (dict, list))
    }
    place = f"{path}, image {image['id']}"
    return LabelRow(_identify(image["file_name"], path, files, place), label, place, attributes)


def _identify(name: str, path: Path, files: ImageFiles, place: str) -> str:
    """The id of the image that a file names: from its own folder, or else from the folder of its side.

    So ``a.jpg`` of ``annotations/instances_val.json``, or of ``val.json``, is ``val/a.jpg``.
    """
    apart = path.parent.name in _LABEL_FOLDERS
    folder = (path.parent.parent if apart else path.parent) / _side(path.relative_to(files.root))
    beside = [path, folder / path.name]
    first, second = reversed(beside) if apart else beside
    try:
        return files.identify(path_beside(first, name, files.root), place)
    except DatasetError:
        return files.identify(path_beside(second, name, files.root), place)


@contextmanager
def _well_formed(path: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise DatasetError(f"an entry lacks the field {error}", where=path, remedy=_REMEDY) from error
    except (TypeError, AttributeError) as error:
        raise DatasetError("an entry is malformed", where=path, remedy=_REMEDY) from error
