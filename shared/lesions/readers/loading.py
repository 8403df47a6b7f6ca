"""Load a data set of any format: the table of readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.coco import is_coco, read_coco
from dermafed.shared.lesions.readers.image_files import find_images
from dermafed.shared.lesions.readers.labelme import is_labelme, read_labelme
from dermafed.shared.lesions.readers.manifest import is_manifest, read_manifest
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records
from dermafed.shared.lesions.record import SPLIT_NAMES


class Reader(NamedTuple):
    """How a format is recognised and read.

    Attributes:
        accepts: whether a file or folder that exists is in this format.
        read: reads it; with ``skip_bad``, leaves out bad entries with a note instead of raising.
    """

    accepts: Callable[[Path], bool]
    read: Callable[[Path, bool], Dataset]


def load_dataset(path: Path, *, skip_bad: bool = False) -> Dataset:
    """Load labelled images; the first of `READERS` that accepts the path reads it. No pixel is read.

    Args:
        path: a folder, a CSV manifest or a COCO file.
        skip_bad: leave out labels without image and images without label, with a note, instead of raising.

    Raises:
        DatasetError: the data cannot be used; file, row and remedy are named.
    """
    if not path.exists():
        raise DatasetError("no such file or folder", where=path, remedy="Check the path")
    for reader in READERS:
        if reader.accepts(path):
            return reader.read(path, skip_bad)
    raise DatasetError(
        "unknown format", where=path, remedy="Give a folder, a CSV manifest or a COCO JSON file"
    )


def read_class_folders(folder: Path, skip_bad: bool) -> Dataset:
    """Read images that lie in a folder per class: ``nevus/a.jpg``, or ``train/nevus/a.jpg``.

    Where the first folders are named for the sides of a split, their name becomes the attribute ``split``.

    Raises:
        DatasetError: images outside the class folders, or fewer than two classes.
    """
    files = find_images(folder)
    parts = {name: path.relative_to(files.root).parts[:-1] for name, path in files.images.items()}
    split = all(folders and folders[0].casefold() in SPLIT_NAMES for folders in parts.values())
    rows = [_folder_row(name, folders, files.images[name], split) for name, folders in parts.items()]
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


def _folder_row(name: str, folders: tuple[str, ...], path: Path, split: bool) -> LabelRow:
    attributes = {"split": folders[0]} if split else {}
    label = "".join(folders[split : split + 1])
    return LabelRow(name, label, str(path), attributes)


READERS = (
    Reader(is_manifest, read_manifest),
    Reader(is_coco, read_coco),
    Reader(is_labelme, read_labelme),
    Reader(Path.is_dir, read_class_folders),
)
"""The formats, in the order in which they are tried. A new one needs a module of its own and a line here."""
