"""Loading a data set of any format."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.coco import read_coco
from dermafed.shared.lesions.readers.folders import read_folders
from dermafed.shared.lesions.readers.image_files import find_images
from dermafed.shared.lesions.readers.label_files import documents_of, kind_of, read_document
from dermafed.shared.lesions.readers.labelme import read_labelme
from dermafed.shared.lesions.readers.manifest import read_manifest, tables_of
from dermafed.shared.lesions.readers.rows import Dataset


def load_dataset(path: Path, *, skip_bad: bool = False) -> Dataset:
    """Load labelled images; the format is found by looking.

    In a folder: a CSV manifest if there is a CSV file, else COCO or LabelMe JSON if there is one, else a
    folder per class. No pixel is read.

    Args:
        path: a folder, a CSV manifest or a COCO file.
        skip_bad: leave out labels without image and images without label, with a note, instead of raising.

    Raises:
        DatasetError: the data cannot be used; file, row and remedy are named.
    """
    if path.is_dir():
        return _load_folder(path, skip_bad)
    if not path.exists():
        raise DatasetError("no such file or folder", where=path, remedy="Check the path")
    if path.suffix.lower() == ".csv":
        return read_manifest(path, skip_bad=skip_bad)
    if path.suffix.lower() == ".json" and kind_of(read_document(path)) == "COCO":
        folder = _image_folder(path)
        return read_coco(
            path, find_images(folder), skip_bad=skip_bad, all_images=len(_coco_files(folder)) < 2
        )
    raise DatasetError(
        "unknown format", where=path, remedy="Give a folder, a CSV manifest or a COCO JSON file"
    )


def _load_folder(folder: Path, skip_bad: bool) -> Dataset:
    if tables_of(folder):
        return read_manifest(folder, skip_bad=skip_bad)
    files = find_images(folder)
    documents = documents_of(folder)
    for path in documents:
        kind = kind_of(read_document(path))
        if kind == "LabelMe":
            return read_labelme(documents, files, skip_bad=skip_bad)
        if kind == "COCO":
            return read_coco(_only_coco(folder), files, skip_bad=skip_bad)
    return read_folders(files, skip_bad=skip_bad)


def _only_coco(folder: Path) -> Path:
    found = _coco_files(folder)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DatasetError(
            f"several COCO files: {names}", where=folder, remedy=f"Choose one, such as {found[0]}"
        )
    return found[0]


def _coco_files(folder: Path) -> list[Path]:
    return [path for path in documents_of(folder) if kind_of(read_document(path)) == "COCO"]


def _image_folder(path: Path) -> Path:
    """Where the images of a COCO file lie: beside it, or beside its folder ``annotations``."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent
