"""Load a data set of any format: the table of readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import composed
from dermafed.shared.lesions.readers.coco import is_coco, read_coco
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.faults import Faults
from dermafed.shared.lesions.readers.image_files import find_images
from dermafed.shared.lesions.readers.image_kinds import is_image
from dermafed.shared.lesions.readers.labelme import is_labelme, read_labelme
from dermafed.shared.lesions.readers.manifest import is_manifest, read_manifest
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records
from dermafed.shared.lesions.readers.tables import TABLE_SUFFIXES, list_files, list_folders
from dermafed.shared.lesions.readers.walking import is_system_folder
from dermafed.shared.lesions.record import SPLIT_NAMES

_PART = re.compile(r".*(?:part|batch|chunk|images?|imgs?|pictures|fold|volume|disk)[ _-]*\d+", re.IGNORECASE)
_SIDE = re.compile(
    r"(?<![^\W_])(?:train|training|val|valid|validation|test|testing)(?![^\W\d_])", re.IGNORECASE
)
_COUNT = re.compile(rf"{_SIDE.pattern}|\d+$|(?<=[\W_])v\d+(?![^\W_])", re.IGNORECASE)

_WRAPPERS = 4


class Reader(NamedTuple):
    """How a format is recognised and read.

    Attributes:
        accepts: whether a file or folder that exists is in this format.
        read: reads it; with ``skip_bad``, leaves out bad entries with a note instead of raising.
    """

    accepts: Callable[[Path], bool]
    read: Callable[[Path, bool], Dataset]


def load_dataset(path: Path, *, skip_bad: bool = False, columns: ColumnNames | None = None) -> Dataset:
    """Load labelled images; the first of `READERS` that accepts the path reads it. No pixel is read.

    Args:
        path: a folder, a CSV manifest or a COCO file.
        skip_bad: leave out labels without image, images without label and bad entries, with a note, instead
            of raising.
        columns: the columns of a manifest that go by other names than the accepted ones.

    Raises:
        DatasetError: the data cannot be used; file, row and remedy are named.
    """
    if not path.exists():
        raise DatasetError("no such file or folder", where=path, remedy="Check the path")
    path = _unwrapped(path)
    if columns:
        return read_manifest(path, skip_bad, columns)
    for reader in READERS:
        if reader.accepts(path):
            return reader.read(path, skip_bad)
    raise DatasetError(
        "unknown format", where=path, remedy="Give a folder, a CSV manifest or a COCO JSON file"
    )


def _unwrapped(path: Path) -> Path:
    """The folder of a data set within those of its archive, such as Derm7pt's ``release_v0``."""
    for _ in range(_WRAPPERS):
        folders = (
            [each for each in list_folders(path) if not is_system_folder(each.name)] if path.is_dir() else []
        )
        if len(folders) != 1 or _is_part(list_files(path)):
            break
        inner = list_files(folders[0])
        if not list_folders(folders[0]) and not any(_is_label_file(file) for file in inner):
            break  # a class
        path = folders[0]
    return path


def _is_part(files: Sequence[Path]) -> bool:
    """Whether files belong to a data set."""
    return any(is_image(file) or _is_label_file(file) for file in files)


def _is_label_file(path: Path) -> bool:
    return path.suffix.lower() in (*TABLE_SUFFIXES, ".json") or is_manifest(path)


def read_class_folders(folder: Path, skip_bad: bool) -> Dataset:
    """Read images that lie in a folder per class: ``nevus/a.jpg``, or ``train/nevus/a.jpg``.

    Where the first folders are named for the sides of a split, their name becomes the attribute ``split``.

    Raises:
        DatasetError: images outside the class folders, or fewer than two classes.
    """
    files, faults = find_images(folder), Faults(skip_bad)
    parts = {id: path.relative_to(files.root).parts[:-1] for id, path in files.images.items()}
    split = _is_split([folders for folders in parts.values() if folders])
    rows = [_folder_row(id, folders, files.images[id], split) for id, folders in parts.items()]
    labels = sorted({row.label for row in rows if row.label})
    if len(labels) < 2 or _are_parts(labels):
        some = ", ".join(labels[:2])
        found = f"folders of images ({some})" if len(labels) > 1 else f"one folder of images ({some})"
        others = f"; {files.notes[0]}" if files.others else ""
        book = next((path.name for path in list_files(folder) if _is_book(path)), None)
        give = f"Save {book} as CSV, or give" if book else "Give"
        raise DatasetError(
            f"{found if labels else 'images'} but no labels{others}",
            where=files.root,
            remedy=f"{give} a CSV manifest, a folder for each class (two at least), or COCO or LabelMe JSON",
        )
    records, notes = to_records(rows, files, faults)
    return Dataset(records, files.root, "folder per class", tuple(notes))


def _is_book(path: Path) -> bool:
    """Whether a file is a table of a kind that is not read."""
    return path.suffix.lower() in (
        ".xlsx",
        ".xls",
        ".xlsm",
        ".xlsb",
        ".ods",
        ".numbers",
        ".parquet",
        ".jsonl",
    )


def _is_split(folders: Sequence[tuple[str, ...]]) -> bool:
    """Whether first folders are the sides of a split: all, or two of them that have folders of their own."""
    sides = {first.casefold() for first, *below in folders if below}.intersection(SPLIT_NAMES)
    return len(sides) > 1 or all(first.casefold() in SPLIT_NAMES for first, *_ in folders)


def _are_parts(labels: Sequence[str]) -> bool:
    """Whether folders are parts of one set: x_part_1 and x_part_2, or train_images and test_images."""
    common = {re.sub(r"[\W_]+", "", _COUNT.sub("", label.casefold())) for label in labels}
    return len(common) == 1 and all(_PART.fullmatch(label) or _SIDE.search(label) for label in labels)


def _folder_row(id: str, folders: tuple[str, ...], path: Path, split: bool) -> LabelRow:
    in_side = split and bool(folders) and folders[0].casefold() in SPLIT_NAMES
    attributes = {"split": folders[0]} if in_side else {}
    label = composed("".join(folders[in_side : in_side + 1]))
    return LabelRow(id, label, str(path), attributes)


READERS = (
    Reader(is_manifest, read_manifest),
    Reader(is_coco, read_coco),
    Reader(is_labelme, read_labelme),
    Reader(Path.is_dir, read_class_folders),
)
"""The formats, in the order in which they are tried. A new one needs a module of its own and a line here."""
