"""Turn the entries of a label file into lesion records: the part that all formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import (
    OLDEST,
    composed,
    is_missing,
    names_none,
    read_age,
    read_body_site,
    read_sex,
)
from dermafed.shared.lesions.readers.faults import Faults
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
    "body_site",
    "localisation",
    "location",
    "region",
)
METADATA_COLUMNS = (*LESION_COLUMNS, *PATIENT_COLUMNS, *AGE_COLUMNS, *SEX_COLUMNS, *BODY_SITE_COLUMNS)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """The entry of one image in a label file.

    Attributes:
        image_id: the image's name without suffix.
        label: the diagnosis in the source's words; empty if it has none.
        place: place of the entry, for error messages.
        attributes: every column, by its own name, in composed characters (NFC).
        elsewhere: place of the columns that come from another file.
    """

    image_id: str
    label: str
    place: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict, compare=False)


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


def first_column(columns: Iterable[str], accepted: Sequence[str]) -> str | None:
    """Find the column that goes by an accepted name, the earliest accepted first; case does not count."""
    return _first_column(tuple(columns), tuple(accepted))


@lru_cache(maxsize=256)  # the rows of a table have the same columns
def _first_column(columns: tuple[str, ...], accepted: tuple[str, ...]) -> str | None:
    by_name = {column.strip().casefold(): column for column in columns}
    return next((by_name[name] for name in accepted if name in by_name), None)


def to_records(
    rows: Sequence[LabelRow],
    files: ImageFiles,
    faults: Faults,
    *,
    all_images: bool = True,
) -> tuple[tuple[LesionRecord, ...], list[str]]:
    """Join rows and image files.

    Args:
        rows: the entries of the label file.
        files: the images and masks.
        faults: takes entries that are bad, labels without image and images without label, or raises.
        all_images: every image must have a row, or be one of ``faults.images``.

    Returns:
        The records in order of ``image_id``, and a note on each kind that was left out.

    Raises:
        DatasetError: two rows for an image, a label without image, an image without label, a field that
            cannot be read, or no labelled image; some only if ``faults`` raises.
    """
    named = {row.image_id for row in rows} | faults.images
    rows = _without_repeats(rows, faults)
    absent = [f"{row.image_id} ({row.place})" for row in rows if row.image_id not in files.images]
    copies = sorted(files.copies - named)
    unnamed = sorted(files.images.keys() - named - files.copies)
    unlabelled = (unnamed if all_images else []) + [
        f"{row.image_id} ({row.place})" for row in rows if is_missing(row.label)
    ]
    notes = [
        *_leave_out("label without image", absent, files, faults),
        *_leave_out("image without label", unlabelled, files, faults),
        *([] if all_images or not unnamed else [_note("image not named", unnamed)]),
        *([_note("copy of an image of the same name", copies)] if copies else []),
    ]
    records: list[LesionRecord] = []
    for row in sorted(rows, key=lambda row: row.image_id):
        if row.image_id in files.images and not is_missing(row.label):
            with faults.left_out():
                records.append(_record(row, files))
    if not records:
        found = [*faults.notes(), *notes]
        raise DatasetError(
            f"no labelled image{f': {found[0]}' if found else ''}",
            where=files.root,
            remedy="Check that the labels' names are the images'",
        )
    return tuple(records), [*notes, *faults.notes(), *files.notes]


def _without_repeats(rows: Sequence[LabelRow], faults: Faults) -> list[LabelRow]:
    """The rows; where bad ones are left out, all of an image whose rows differ, and all but one otherwise."""
    by_image: dict[str, list[LabelRow]] = {}
    for row in rows:
        by_image.setdefault(row.image_id, []).append(row)
    kept: list[LabelRow] = []
    for image, own in by_image.items():
        if len(own) == 1:
            kept.append(own[0])
            continue
        agree = all(replace(row, place="") == replace(own[0], place="") for row in own)
        for row in own[agree:]:
            error = DatasetError(
                f"image {image!r} is labelled twice",
                where=f"{own[0].place} and {row.place if agree else own[1].place}",
                remedy="Keep one",
            )
            faults.add(error)
        kept.extend(own[:1] if agree else [])
    return kept


def _leave_out(what: str, names: Sequence[str], files: ImageFiles, faults: Faults) -> list[str]:
    if not names:
        return []
    if faults.skip:
        return [_note(what, names)]
    others = f"; {files.notes[0]}" if files.others else ""
    raise DatasetError(
        f"{what}: {len(names)} of them: {_examples(names)}{others}",
        where=files.root,
        remedy="Complete the data, or choose to skip bad entries",
    )


def _note(what: str, names: Sequence[str]) -> str:
    return f"{len(names)} left out, {what}: {_examples(names)}"


def _examples(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _record(row: LabelRow, files: ImageFiles) -> LesionRecord:
    return LesionRecord(
        image_id=row.image_id,
        path=files.images[row.image_id],
        label=composed(row.label.strip()),
        lesion_id=_text(row, LESION_COLUMNS),
        patient_id=_text(row, PATIENT_COLUMNS),
        age=_value(row, AGE_COLUMNS, read_age, f"Give years from 0 to {OLDEST:.0f}, or leave it empty"),
        sex=_value(row, SEX_COLUMNS, read_sex, "Give female, male or other, or leave it empty"),
        body_site=_value(row, BODY_SITE_COLUMNS, read_body_site, ""),
        mask=files.masks.get(row.image_id),
        attributes=row.attributes,
    )


def _text(row: LabelRow, accepted: Sequence[str]) -> str | None:
    column = first_column(row.attributes, accepted)
    if column is None or names_none(row.attributes[column]):
        return None
    return composed(row.attributes[column].strip())


def _value(
    row: LabelRow, accepted: Sequence[str], read: Callable[[str], Value | None], remedy: str
) -> Value | None:
    column = first_column(row.attributes, accepted)
    try:
        return None if column is None else read(row.attributes[column])
    except ValueError:
        raise DatasetError(
            f"{column} of {row.image_id} is {row.attributes[column or '']!r}",
            where=f"{row.elsewhere.get(column or '', row.place)}, column {column}",
            remedy=remedy,
        ) from None
