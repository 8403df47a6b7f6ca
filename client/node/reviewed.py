"""The clinic's folder ``reviewed``: diagnoses that a person accepted as training data, with a manifest.

An image is written before its row and removed after it, and an image without a row does not count: whoever
reads the folder at any moment finds complete records only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.readers.tables import read_table
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

MANIFEST = "metadata.csv"
CASE_INDEX = "similar.npz"
"""Beside the folder: features of the clinic's cases, those of reviewed ones among them."""


@dataclass(frozen=True, slots=True)
class ReviewedRow:
    """A row of the manifest.

    Attributes:
        image_id: the diagnosis's id, which is the image file's name.
        lesion_id: the same for images of the same pixels.
        patient_id: the same for images of the same person, otherwise meaningless; empty if unknown.
        diagnosis: the label.
        confirmed_by: how the diagnosis was confirmed, or empty.
        age: years, or empty.
        sex: the patient's sex, or empty.
        site: the lesion's place on the body, or empty.
        split: the side in a run whose split is given.
    """

    image_id: str
    lesion_id: str
    patient_id: str
    diagnosis: str
    confirmed_by: str
    age: str
    sex: str
    site: str
    split: str = "train"


def read_reviewed(folder: Path) -> tuple[LesionRecord, ...]:
    """The records that were accepted, in order of ``image_id``.

    Raises:
        DatasetError: the manifest is damaged.
    """
    manifest = folder / MANIFEST
    return load_dataset(manifest, skip_bad=True).records if manifest.exists() else ()


def reviewed_rows(folder: Path) -> dict[str, ReviewedRow]:
    """The manifest's rows by image.

    Raises:
        DatasetError: the manifest is damaged.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        return {}
    try:
        rows = [ReviewedRow(**cells) for _, cells in read_table(manifest).rows]
    except TypeError as error:
        columns = ", ".join(field.name for field in fields(ReviewedRow))
        raise DatasetError(
            "The manifest has other columns", where=manifest, remedy=f"They must be {columns}"
        ) from error
    return {row.image_id: row for row in rows}


def add_reviewed(folder: Path, row: ReviewedRow, suffix: str, image: bytes) -> None:
    """Add a record, in place of an earlier one of the same image.

    Raises:
        DatasetError: an image of the same pixels exists under another name.
        StorageError: the folder cannot be written.
    """
    rows = reviewed_rows(folder)
    for other in rows.values():
        if other.lesion_id == row.lesion_id and other.image_id != row.image_id:
            raise DatasetError(
                "The same image was accepted before",
                where=other.image_id,
                remedy="Reject this one, or forget the other",
            )
    make_private_folder(folder)
    write_private(folder / f"{row.image_id}{suffix}", image)
    _write(folder, {**rows, row.image_id: row}.values())


def remove_reviewed(folder: Path, image_id: str) -> None:
    """Remove a record, if it exists, the cached preprocessing of its image, and all saved features.

    The index of similar cases goes with it, and is made anew when it is next asked for.

    Raises:
        StorageError: the folder, or the cache, cannot be written.
    """
    from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
    from dermafed.shared.training.feature_store import FeatureStore

    rows = reviewed_rows(folder)
    if rows.pop(image_id, None) is not None:
        folder.with_name(CASE_INDEX).unlink(missing_ok=True)  # first: whoever is killed here begins again
        _write(folder, rows.values())
    for image in folder.glob(f"{image_id}.*"):
        PreprocessCache(default_cache_folder()).remove(image)
        FeatureStore(default_cache_folder()).clear()  # the image may be among those of any of them
        image.unlink()


def _write(folder: Path, rows: Collection[ReviewedRow]) -> None:
    if not rows:
        (folder / MANIFEST).unlink()
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(ReviewedRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_private(folder / MANIFEST, text.getvalue().encode())
