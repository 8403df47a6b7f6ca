"""A folder per class."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import ImageFiles
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records

SPLIT_FOLDERS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def read_folders(files: ImageFiles, *, skip_bad: bool = False) -> Dataset:
    """Read images that lie in a folder per class: ``nevus/a.jpg``, or ``train/nevus/a.jpg``.

    Where the first folders are named for the sides of a split, their name becomes the attribute ``split``.

    Raises:
        DatasetError: images outside the class folders, or fewer than two classes.
    """
    parts = {name: path.relative_to(files.root).parts[:-1] for name, path in files.images.items()}
    split = all(folders and folders[0].casefold() in SPLIT_FOLDERS for folders in parts.values())
    rows = [_row(name, folders, files.images[name], split) for name, folders in parts.items()]
    labels = sorted({row.label for row in rows if row.label})
    if len(labels) < 2:
        found = f"one folder of images ({labels[0]})" if labels else "images"
        raise DatasetError(
            f"{found} but no labels",
            where=files.root,
            remedy="Give a CSV manifest, a folder for each class (two at least), or COCO or LabelMe JSON",
        )
    records, notes = to_records(rows, files, skip_bad=skip_bad)
    return Dataset(records, files.root, "folder per class", tuple(notes))


def _row(name: str, folders: tuple[str, ...], path: Path, split: bool) -> LabelRow:
    attributes = {"split": folders[0]} if split else {}
    label = "".join(folders[split : split + 1])
    return LabelRow(name, label, str(path), attributes)
