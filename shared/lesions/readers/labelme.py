"""LabelMe JSON, one file beside each image: its labels, and its conversion to COCO as the paper does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import composed
from dermafed.shared.lesions.readers.faults import Faults
from dermafed.shared.lesions.readers.image_files import ImageFiles, find_images
from dermafed.shared.lesions.readers.label_files import (
    document_kind,
    find_documents,
    holds_labelme,
    path_beside,
    read_document,
)
from dermafed.shared.lesions.readers.labelme_shapes import geometry, image_size, instances, whole_image
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

_LONGEST_SIDE = 1_000_000  # pixels


def is_labelme(path: Path) -> bool:
    """Whether this is a folder with files of LabelMe."""
    return path.is_dir() and holds_labelme(path)


def read_labelme(folder: Path, skip_bad: bool) -> Dataset:
    """Read the LabelMe files below a folder, which must be its only JSON files.

    The label of an image is the flag that is set, or else the label that all shapes share.

    Args:
        folder: folder of the files and the images, at any depth.
        skip_bad: leave out labels without image, images without label and bad files, instead of raising.

    Raises:
        DatasetError: a file is not LabelMe's, or has two flags set or shapes of several labels.
    """
    files, faults = find_images(folder), Faults(skip_bad)
    rows: list[LabelRow] = []
    for path in find_documents(folder):
        with faults.left_out():
            rows.append(_row(path, _as_labelme(path, read_document(path)), files, faults))
    records, notes = to_records(rows, files, faults)
    return Dataset(records, folder, "LabelMe JSON", tuple(notes))


def _as_labelme(path: Path, document: Any) -> dict[str, Any]:
    """Check that a JSON document is LabelMe's, and drop the copy of the image that may be in it."""
    if document_kind(document) != "LabelMe" or not isinstance(document["imagePath"], str):
        raise DatasetError("not a LabelMe file", where=path, remedy="Move it to another folder")
    for number, shape in enumerate(document["shapes"], start=1):
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise DatasetError(
                "a shape without label", where=f"{path}, shape {number}", remedy="Label it in LabelMe"
            )
    return {key: value for key, value in document.items() if key != "imageData"}


def _row(path: Path, document: Mapping[str, Any], files: ImageFiles, faults: Faults) -> LabelRow:
    image = files.identify(path_beside(path, document["imagePath"], files.root), path)
    faults.images.add(image)
    labels = sorted({_flag(path, document)} - {""} or {_label(shape) for shape in document["shapes"]})
    if len(labels) > 1:
        raise _several(path, labels)
    return LabelRow(image, "".join(labels), str(path))


def _flag(path: Path, document: Mapping[str, Any]) -> str:
    """The flag that is set for the image, which is its label; empty if none is."""
    flags = document.get("flags") or {}
    marked = (
        sorted({composed(name.strip()) for name, is_set in flags.items() if is_set}) if _is_map(flags) else []
    )
    if len(marked) > 1:
        raise _several(path, marked)
    return "".join(marked)


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _label(shape: Mapping[str, Any]) -> str:
    return composed(str(shape["label"]).strip())


def _several(path: Path, labels: list[str]) -> DatasetError:
    return DatasetError(
        f"several labels for one image: {', '.join(labels)}",
        where=path,
        remedy="Set one flag, or give all shapes one label",
    )


def labelme_to_coco(folder: Path, out_json: Path) -> Path:
    """Write the LabelMe files below a folder as one COCO file, which reads back as the same labels.

    Each shape becomes an annotation; shapes of one label and one group id become one with several polygons,
    which must not overlap, since areas add. Points are in pixels, moved to the image's border where they lie
    outside; an area is the polygon's (shoelace formula), a box is ``[x, y, width, height]``. A circle becomes
    a polygon, a mask run lengths. A flag that is set is the category of the image's annotations, or of one
    of the whole image if it has no shape; the shape's own label is then its attribute ``shape``.

    Args:
        folder: folder of the LabelMe files, at any depth.
        out_json: the COCO file; it must not exist. ``file_name`` is relative to ``folder``.

    Returns:
        ``out_json``.

    Raises:
        DatasetError: no LabelMe file, a shape without area, several flags, no image size, or ``out_json``
            exists.
        StorageError: ``out_json`` cannot be written.
    """
    if out_json.exists():
        raise DatasetError("the file exists", where=out_json, remedy="Choose another name, or remove it")
    images: list[dict[str, Any]] = []
    found: list[tuple[int, str, dict[str, Any]]] = []
    for number, (path, document) in enumerate(_documents(folder).items(), start=1):
        images.append(_image(path, document, folder, number))
        found += [(number, label, drawn) for label, drawn in _annotations(path, document)]
    categories = {label: number for number, label in enumerate(sorted({label for _, label, _ in found}), 1)}
    annotations = [
        {"id": number, "image_id": image, "category_id": categories[label]} | drawn
        for number, (image, label, drawn) in enumerate(found, start=1)
    ]
    listed = [
        {"id": number, "name": label, "supercategory": "lesion"} for label, number in categories.items()
    ]
    coco = {"images": images, "annotations": annotations, "categories": listed}
    make_folder(out_json.parent)
    write_atomically(out_json, json.dumps(coco, indent=1, allow_nan=False).encode())
    return out_json


def _annotations(path: Path, document: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The label and the geometry of each annotation of an image."""
    flag, size = _flag(path, document), _size(path, document)
    shapes = [shape | {"label": _label(shape)} for shape in document["shapes"]]
    if not flag:
        return [(label, geometry(parts)) for label, parts in instances(shapes, size, path)]
    if not shapes:
        return [(flag, geometry([whole_image(size)]))]
    return [
        (flag, geometry(parts) | {"attributes": {"shape": label}})
        for label, parts in instances(shapes, size, path)
    ]


def _documents(folder: Path) -> dict[Path, dict[str, Any]]:
    """The LabelMe files below a folder, without COCO files that an earlier conversion left there."""
    documents: dict[Path, dict[str, Any]] = {}
    for path in find_documents(folder):
        document = read_document(path)
        if document_kind(document) != "COCO":
            documents[path] = _as_labelme(path, document)
    if not documents:
        raise DatasetError("no LabelMe file", where=folder, remedy="Give the folder of the JSON files")
    return documents


def _image(path: Path, document: Mapping[str, Any], folder: Path, number: int) -> dict[str, Any]:
    width, height = _size(path, document)
    name = path_beside(path, document["imagePath"], folder)
    return {"id": number, "file_name": name, "width": width, "height": height}


def _size(path: Path, document: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the image: as the document says, else as the image beside it has them."""
    width, height = document.get("imageWidth"), document.get("imageHeight")
    if width is None and height is None:
        width, height = image_size(path.parent / document["imagePath"].replace("\\", "/"))
    if (
        not isinstance(width, int)
        or not isinstance(height, int)
        or not 1 <= min(width, height) <= max(width, height) <= _LONGEST_SIDE
    ):
        raise DatasetError(
            "no imageWidth and imageHeight", where=path, remedy="Save the file with LabelMe again"
        )
    return width, height
