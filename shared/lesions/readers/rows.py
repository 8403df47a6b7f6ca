"""Turn the entries of a label file into lesion records: the part that all formats share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import ImageFiles
from dermafed.shared.lesions.record import LesionRecord

LESION_COLUMNS = ("lesion_id", "lesion")
PATIENT_COLUMNS = ("patient_id", "patient")
AGE_COLUMNS = ("age", "age_approx", "age_approximate")
SEX_COLUMNS = ("sex", "gender")
BODY_SITE_COLUMNS = (
    "site",
    "localization",
    "anatom_site_general",
    "anatom_site_general_challenge",
    "anatom_site",
    "anatomic_site",
)
_MISSING = {"", "unknown", "nan", "na", "n/a", "none", "null", "?"}
_SEX = {"f": "female", "female": "female", "m": "male", "male": "male"}
_NEITHER_SEX = {"other", "diverse", "x", "nonbinary", "non-binary"}
_OLDEST = 120.0


@dataclass(frozen=True, slots=True)
class LabelRow:
    """The entry of one image in a label file.

    Attributes:
        image_id: the image's name without suffix.
        label: the diagnosis in the source's words; empty if it has none.
        place: place of the entry, for error messages.
        attributes: every column, by its own name.
    """

    image_id: str
    label: str
    place: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled images.

    Attributes:
        records: one per image, in order of ``image_id``.
        source: the file or folder of the labels.
        kind: its format.
        notes: what was left out or joined, one sentence each.
    """

    records: tuple[LesionRecord, ...]
    source: Path
    kind: str
    notes: tuple[str, ...] = ()


def is_missing(text: str) -> bool:
    """Return whether the text of a field means that its value is unknown."""
    return text.strip().casefold() in _MISSING


def first_column(columns: Iterable[str], accepted: Sequence[str]) -> str | None:
    """Find the column that goes by an accepted name, the earliest accepted first; case does not count."""
    by_name = {column.strip().casefold(): column for column in columns}
    return next((by_name[name] for name in accepted if name in by_name), None)


def to_records(
    rows: Sequence[LabelRow], files: ImageFiles, *, skip_bad: bool, all_images: bool = True
) -> tuple[tuple[LesionRecord, ...], list[str]]:
    """Join rows and image files.

    Args:
        rows: the entries of the label file.
        files: the images and masks.
        skip_bad: leave out labels without image and images without label, instead of raising.
        all_images: every image must have a row.

    Returns:
        The records in order of ``image_id``, and a note on what was left out.

    Raises:
        DatasetError: two rows for an image, a label without image, an image without label, a field that
            cannot be read, or no labelled image.
    """
    _refuse_repeats(rows)
    absent = [f"{row.image_id} ({row.place})" for row in rows if row.image_id not in files.images]
    unnamed = sorted(files.images.keys() - {row.image_id for row in rows}) if all_images else []
    unlabelled = unnamed + [f"{row.image_id} ({row.place})" for row in rows if is_missing(row.label)]
    notes = [
        *_leave_out("label without image", absent, files.root, skip_bad),
        *_leave_out("image without label", unlabelled, files.root, skip_bad),
    ]
    usable = [row for row in rows if row.image_id in files.images and not is_missing(row.label)]
    if not usable:
        raise DatasetError(
            "no labelled image", where=files.root, remedy="Check that the labels' names are the images'"
        )
    records = (_record(row, files) for row in sorted(usable, key=lambda row: row.image_id))
    return tuple(records), notes


def _refuse_repeats(rows: Sequence[LabelRow]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        if row.image_id in seen:
            raise DatasetError(
                f"image {row.image_id!r} is labelled twice",
                where=f"{seen[row.image_id]} and {row.place}",
                remedy="Keep one",
            )
        seen[row.image_id] = row.place


def _leave_out(what: str, names: Sequence[str], root: Path, skip: bool) -> list[str]:
    if not names:
        return []
    examples = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    if skip:
        return [f"{len(names)} left out, {what}: {examples}"]
    raise DatasetError(
        f"{what}: {len(names)} of them: {examples}",
        where=root,
        remedy="Complete the data, or choose to skip bad entries",
    )


def _record(row: LabelRow, files: ImageFiles) -> LesionRecord:
    return LesionRecord(
        image_id=row.image_id,
        path=files.images[row.image_id],
        label=row.label.strip(),
        lesion_id=_text(row, LESION_COLUMNS),
        patient_id=_text(row, PATIENT_COLUMNS),
        age=_age(row),
        sex=_sex(row),
        body_site=_text(row, BODY_SITE_COLUMNS),
        mask=files.masks.get(row.image_id),
        attributes=row.attributes,
    )


def _text(row: LabelRow, accepted: Sequence[str]) -> str | None:
    column = first_column(row.attributes, accepted)
    return None if column is None or is_missing(row.attributes[column]) else row.attributes[column].strip()


def _age(row: LabelRow) -> float | None:
    text = _text(row, AGE_COLUMNS)
    if text is None:
        return None
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= _OLDEST:
        raise _bad_field(row, AGE_COLUMNS, text, f"Give years from 0 to {_OLDEST:.0f}, or leave it empty")
    return age


def _sex(row: LabelRow) -> str | None:
    text = _text(row, SEX_COLUMNS)
    if text is None or text.casefold() in _NEITHER_SEX:
        return None
    if text.casefold() not in _SEX:
        raise _bad_field(row, SEX_COLUMNS, text, "Give female, male or other, or leave it empty")
    return _SEX[text.casefold()]


def _bad_field(row: LabelRow, accepted: Sequence[str], text: str, remedy: str) -> DatasetError:
    column = first_column(row.attributes, accepted)
    return DatasetError(
        f"{column} of {row.image_id} is {text!r}", where=f"{row.place}, column {column}", remedy=remedy
    )
