"""LabelMe JSON, one file beside each image: its labels, and its conversion to COCO as the paper does it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import find_images, image_name
from dermafed.shared.lesions.readers.label_files import (
    document_kind,
    find_documents,
    folder_kind,
    read_document,
)
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

Polygon = NDArray[np.float64]


def is_labelme(path: Path) -> bool:
    """Whether this is a folder whose first label file is LabelMe's."""
    return path.is_dir() and folder_kind(path) == "LabelMe"


def read_labelme(folder: Path, skip_bad: bool) -> Dataset:
    """Read the LabelMe files below a folder, which must be its only JSON files.

    The label of an image is the flag that is set, or else the label that all shapes share.

    Args:
        folder: folder of the files and the images, at any depth.
        skip_bad: leave out labels without image and images without label, instead of raising.

    Raises:
        DatasetError: a file is not LabelMe's, or has two flags set or shapes of several labels.
    """
    files = find_images(folder)
    rows = [_row(path, _as_labelme(path, read_document(path))) for path in find_documents(folder)]
    records, notes = to_records(rows, files, skip_bad=skip_bad)
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


def _row(path: Path, document: Mapping[str, Any]) -> LabelRow:
    flags = document.get("flags") or {}
    marked = [name for name, is_set in flags.items() if is_set] if isinstance(flags, dict) else []
    labels = sorted(set(marked or (shape["label"] for shape in document["shapes"])))
    if len(labels) > 1:
        raise DatasetError(
            f"several labels for one image: {', '.join(labels)}",
            where=path,
            remedy="Set one flag, or give all shapes one label",
        )
    return LabelRow(image_name(document["imagePath"]), "".join(labels), str(path))


def labelme_to_coco(folder: Path, out_json: Path) -> Path:
    """Write the LabelMe files below a folder as one COCO file.

    Each shape becomes an annotation; shapes of one label and one group id become one with several polygons,
    which must not overlap, since areas add. Points are in pixels, moved to the image's border where they lie
    outside; an area is the polygon's (shoelace formula), a box is ``[x, y, width, height]``.

    Args:
        folder: folder of the LabelMe files, at any depth.
        out_json: the COCO file; it must not exist. ``file_name`` is relative to ``folder``.

    Returns:
        ``out_json``.

    Raises:
        DatasetError: no LabelMe file, a shape without area, no image size, or ``out_json`` exists.
        StorageError: ``out_json`` cannot be written.
    """
    if out_json.exists():
        raise DatasetError("the file exists", where=out_json, remedy="Choose another name, or remove it")
    documents = _documents(folder)
    labels = sorted({shape["label"] for document in documents.values() for shape in document["shapes"]})
    categories = {label: number for number, label in enumerate(labels, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for path, document in documents.items():
        images.append(_image(path, document, folder, number=len(images) + 1))
        for label, polygons in _instances(path, document):
            common = {"id": len(annotations) + 1, "image_id": len(images), "category_id": categories[label]}
            annotations.append(common | _geometry(polygons))
    listed = [
        {"id": number, "name": label, "supercategory": "lesion"} for label, number in categories.items()
    ]
    coco = {"images": images, "annotations": annotations, "categories": listed}
    make_folder(out_json.parent)
    write_atomically(out_json, json.dumps(coco, indent=1, allow_nan=False).encode())
    return out_json


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
    file = path.parent / document["imagePath"].replace("\\", "/")
    name = Path(os.path.relpath(file, folder)).as_posix()
    return {"id": number, "file_name": name, "width": width, "height": height}


def _size(path: Path, document: Mapping[str, Any]) -> tuple[int, int]:
    width, height = document.get("imageWidth"), document.get("imageHeight")
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        raise DatasetError(
            "no imageWidth and imageHeight", where=path, remedy="Save the file with LabelMe again"
        )
    return width, height


def _instances(path: Path, document: Mapping[str, Any]) -> list[tuple[str, list[Polygon]]]:
    """The annotated objects: label, and a polygon for each of its shapes."""
    limits = np.array(_size(path, document), dtype=np.float64)
    objects: dict[tuple[str, str], list[Polygon]] = {}
    for number, shape in enumerate(document["shapes"], start=1):
        group = shape.get("group_id")
        key = f"shape {number}" if group is None else f"group {group}"
        polygon = _polygon(shape, limits, place=f"{path}, shape {number}")
        objects.setdefault((shape["label"], key), []).append(polygon)
    return [(label, polygons) for (label, _), polygons in objects.items()]


def _polygon(shape: Mapping[str, Any], limits: NDArray[np.float64], place: str) -> Polygon:
    """The corners of a shape, (n, 2) in pixels, inside the image."""
    try:
        points = np.array(shape["points"], dtype=np.float64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError):
        points = np.empty((0, 2))
    points = np.clip(points, 0, limits)
    kind = shape.get("shape_type") or "polygon"
    if kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if kind not in ("polygon", "rectangle") or len(points) < 3 or not _area(points) > 0:
        raise DatasetError(
            f"a {kind} of {len(points)} points has no area",
            where=place,
            remedy="Draw it as a polygon or a rectangle",
        )
    return points


def _area(points: Polygon) -> float:
    """The area of a simple polygon, in square pixels: the shoelace formula."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _geometry(polygons: Sequence[Polygon]) -> dict[str, Any]:
    corners = np.concatenate(polygons)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return {
        "segmentation": [polygon.ravel().tolist() for polygon in polygons],
        "area": sum(_area(polygon) for polygon in polygons),
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "iscrowd": 0,
    }
