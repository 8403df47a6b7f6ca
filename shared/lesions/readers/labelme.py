"""LabelMe JSON, one file beside each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import ImageFiles, image_name
from dermafed.shared.lesions.readers.json_documents import kind_of, read_document
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records


def read_labelme(paths: Sequence[Path], files: ImageFiles, *, skip_bad: bool = False) -> Dataset:
    """Read LabelMe files: the label is the flag that is set, or else the label that all shapes share.

    Args:
        paths: the JSON files.
        files: the images there are.
        skip_bad: leave out labels without image and images without label, instead of raising.

    Raises:
        DatasetError: a file is not LabelMe's, or has two flags set or shapes of several labels.
    """
    rows = [_row(path, as_labelme(path, read_document(path))) for path in paths]
    records, notes = to_records(rows, files, skip_bad=skip_bad)
    return Dataset(records, files.root, "LabelMe JSON", tuple(notes))


def as_labelme(path: Path, document: Any) -> dict[str, Any]:
    """Check a JSON document to be LabelMe's, and drop the copy of the image that it may hold.

    Raises:
        DatasetError: it is not LabelMe's, or a shape has no label.
    """
    if kind_of(document) != "LabelMe" or not isinstance(document["imagePath"], str):
        raise DatasetError("not a LabelMe file", where=path, remedy="Move it away from the LabelMe files")
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
