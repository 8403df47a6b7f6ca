"""A clinic's split on disk: which of its images are for training, validation and test, by path."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

SPLIT_FILE = "site.csv"
_COLUMNS = ("split", "image_id", "path", "label", "lesion_id", "patient_id", "age", "sex", "site", "mask")
_PATHS = ("path", "mask")


@dataclass(frozen=True, slots=True)
class ClinicSplit:
    """A clinic and its records, split.

    Attributes:
        name: the clinic's name.
        splits: its records, labelled with the classes of the model.
    """

    name: str
    splits: Splits

    def images_per_class(self, classes: tuple[str, ...]) -> dict[str, int]:
        """Count the clinic's images of each class, over all sides."""
        labels = [record.label for records in self.splits.sides().values() for record in records]
        return {name: labels.count(name) for name in classes}


def split_folder(parent: Path, name: str) -> Path:
    """Return the folder of a clinic's split; a name that is not a valid file name is percent-encoded."""
    encoded = quote(name, safe=" ")
    return parent / (encoded.replace(".", "%2E", 1) if encoded.startswith(".") else encoded)


def write_clinic_split(folder: Path, splits: Splits) -> None:
    """Write a clinic's split; over an earlier one only with the same records, whose images may have moved.

    Raises:
        DatasetError: the folder has other records, on which an earlier start of the run trained.
        StorageError: the folder cannot be written.
    """
    path, table = folder / SPLIT_FILE, _table(splits)
    make_folder(folder)
    if path.exists() and _without_paths(path.read_text("utf-8")) != _without_paths(table):
        raise DatasetError(
            "The images, their labels or their split are not those that this run began with",
            where=path,
            remedy="Restore the data, or start a new run",
        )
    write_atomically(path, table.encode())


def _table(splits: Splits) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for split, records in splits.sides().items():
        writer.writerows(_row(split, record) for record in records)
    return text.getvalue()


def _without_paths(table: str) -> list[list[str]]:
    """A table's rows without paths, since a folder may have been moved."""
    rows = csv.reader(io.StringIO(table, newline=""))
    return [[cell for name, cell in zip(_COLUMNS, row, strict=False) if name not in _PATHS] for row in rows]


def read_clinic_split(folder: Path) -> ClinicSplit:
    """Read what :func:`write_clinic_split` wrote; the clinic's name is the folder's, decoded.

    Raises:
        DatasetError: the file is missing or is not a clinic's split.
    """
    path = folder / SPLIT_FILE
    sides: dict[str, list[LesionRecord]] = {"train": [], "validation": [], "test": []}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            if tuple(next(rows := csv.reader(file), ())) != _COLUMNS:
                raise ValueError("other columns")
            for row in rows:
                sides[row[0]].append(_record(dict(zip(_COLUMNS, row, strict=True))))
    except (OSError, KeyError, IndexError, ValueError, csv.Error) as error:
        raise DatasetError(
            "This is not the split of a clinic", where=path, remedy="Prepare the clinic's data again"
        ) from error
    return ClinicSplit(unquote(folder.name), Splits(*(tuple(records) for records in sides.values())))


def _row(split: str, record: LesionRecord) -> list[object]:
    mask = None if record.mask is None else record.mask.resolve()
    known = (record.lesion_id, record.patient_id, record.age, record.sex, record.body_site, mask)
    always = (split, record.image_id, record.path.resolve(), record.label)
    return [*always, *("" if value is None else value for value in known)]


def _record(row: dict[str, str]) -> LesionRecord:
    return LesionRecord(
        image_id=row["image_id"],
        path=Path(row["path"]),
        label=row["label"],
        lesion_id=row["lesion_id"] or None,
        patient_id=row["patient_id"] or None,
        age=float(row["age"]) if row["age"] else None,
        sex=row["sex"] or None,
        body_site=row["site"] or None,
        mask=Path(row["mask"]) if row["mask"] else None,
    )
