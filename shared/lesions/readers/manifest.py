"""A table beside its images: our columns, and those of the public data sets as they are published."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    ColumnNames,
    Rank,
    TableColumns,
    table_columns,
)
from dermafed.shared.lesions.readers.faults import Faults
from dermafed.shared.lesions.readers.image_files import ImageFiles, find_images, image_name
from dermafed.shared.lesions.readers.image_kinds import is_image, names_image
from dermafed.shared.lesions.readers.joining import OtherRow, by_image, is_apart, joined_attributes
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, to_records
from dermafed.shared.lesions.readers.tables import (
    TABLE_SUFFIXES,
    Table,
    find_tables,
    list_files,
    list_folders,
    read_columns,
    read_table,
    sniff_columns,
)
from dermafed.shared.lesions.readers.walking import is_system_folder

_LABEL_FOLDER = re.compile(r"meta(?:data)?|labels?|annotations?|csv|.*ground.?truth", re.IGNORECASE)
_TEST = re.compile(r"(?<![^\W\d_])test(?![^\W\d_])", re.IGNORECASE)
_SNIFFED = ("", ".txt")  # Dataverse gives HAM10000_metadata without a suffix
_REMEDY = (
    f"Name the image column {', '.join(IMAGE_COLUMNS[:3])} ... and the label column "
    f"{', '.join(LABEL_COLUMNS)}, or choose them by --image and --label, or give one-hot columns named by "
    "diagnoses"
)

Columns = Mapping[Path, TableColumns]


def is_manifest(path: Path) -> bool:
    """Whether this is a table, or a folder that has one."""
    if path.is_dir():
        return bool(_tables(path, ColumnNames()))
    return path.suffix.lower() in TABLE_SUFFIXES or _is_table(path, ColumnNames())


def read_manifest(path: Path, skip_bad: bool, names: ColumnNames | None = None) -> Dataset:
    """Read a manifest: a table, or a folder with one that has labels.

    Other tables beside it that have an image column but no labels (metadata, lesion groups) are joined
    by image. Where several files have labels, ``path`` must name one; images that it does not label are then
    ignored.

    Args:
        path: the table or its folder; the images lie anywhere below the folder. Where it has no table, those
            in its subfolders without images count, such as Derm7pt's ``meta``.
        skip_bad: leave out labels without image, images without label and bad rows, instead of raising.
        names: the columns, where they go by other names than the accepted ones.

    Raises:
        DatasetError: the manifest cannot be used; file, row and column are named.
    """
    names = names or ColumnNames()
    folder = path if path.is_dir() else _image_folder(path)
    path = path if path.is_dir() or folder == path.parent else path.absolute()
    tables = dict.fromkeys([*_tables(folder, names), *([] if path.is_dir() else find_tables(path.parent))])
    tables |= {} if path.is_dir() else {path: None}
    if not tables:
        raise DatasetError("no table whose columns could be named", where=folder, remedy="Give its CSV file")
    headers = {file: read_columns(file) for file in tables}
    columns = {file: table_columns(header, names) for file, header in headers.items()}
    best = max(own.rank for own in columns.values())
    labelled = sorted(file for file, own in columns.items() if own.rank == best > Rank.NONE)
    asked = [file for file in sorted(columns) if columns[file].has(names)] or sorted(columns)
    chosen = path if path in columns else _only_manifest(folder, asked, labelled)
    if columns[chosen].rank is Rank.NONE:
        raise _wrong_columns(chosen, headers[chosen], columns[chosen], names)
    faults, files = Faults(skip_bad), find_images(folder)
    others = [file for file in sorted(columns) if file != chosen and _joins(columns[file], columns[chosen])]
    beside = {file: read_table(file, faults) for file in others}
    apart = [file for file in others if is_apart(beside[file], columns[file])]
    others = [file for file in others if file not in apart]
    joined = {file: by_image(beside[file], columns[file], files, faults) for file in others}
    table = read_table(chosen, faults)
    rows, coarse = _label_rows(table, columns[chosen], [*joined.values()], files, faults)
    single = sum(own.rank >= columns[chosen].rank for own in columns.values()) < 2
    pictures, left = _other_pictures(table, columns[chosen], files, faults.images)
    tested, without = _of_a_test(joined, files, faults.images)
    faults.images |= pictures | tested
    records, notes = to_records(rows, files, faults, all_images=single)
    joins = [f"{file.name} was joined by image" for file in others]
    joins += [f"{file.name} was not joined: it has several rows of an image" for file in apart]
    notes = [*joins, *coarse, *left, *without, *notes]
    return Dataset(records, chosen, "CSV manifest", tuple(notes))


def _tables(folder: Path, names: ColumnNames) -> list[Path]:
    """The tables of a folder, or where it has none, those of its subfolders without images."""
    own = find_tables(folder) + [path for path in list_files(folder) if _is_table(path, names)]
    below = {path: find_tables(path) for path in list_folders(folder) if not is_system_folder(path.name)}
    if own:  # ISIC 2024 lays patients and ages beside its images
        named = [file for files in below.values() for file in files if "metadata" in file.name.casefold()]
        return own + [file for file in named if _rank(file, names) is Rank.NONE]
    found = [file for path, files in below.items() if files and not _has_images(path) for file in files]
    return found if any(_rank(file, names) for file in found) else []


def _is_table(path: Path, names: ColumnNames) -> bool:
    """Whether a file that is not called a table has the header of a manifest."""
    suffix = path.suffix.lower()
    return suffix in _SNIFFED and bool(table_columns(sniff_columns(path), names).rank)


def _rank(path: Path, names: ColumnNames) -> Rank:
    try:
        return table_columns(read_columns(path), names).rank
    except DatasetError:
        return Rank.NONE


def _has_images(folder: Path) -> bool:
    return any(map(is_image, list_files(folder)))


def _image_folder(table: Path) -> Path:
    """The folder of a table's images: its own, or the one above a folder of labels such as ``meta``."""
    own = table.absolute().parent
    above = _LABEL_FOLDER.fullmatch(own.name) and not any(map(_has_images, [own, *list_folders(own)]))
    return own.parent if above and own.parent != own else table.parent


def _only_manifest(folder: Path, tables: Sequence[Path], labelled: Sequence[Path]) -> Path:
    if len(labelled) > 1:
        names = ", ".join(file.name for file in labelled)
        example = min(labelled, key=lambda file: _TEST.search(file.stem) is not None)
        raise DatasetError(
            f"several manifests: {names}", where=folder, remedy=f"Choose one, such as {example}"
        )
    return labelled[0] if labelled else tables[0]


def _joins(other: TableColumns, manifest: TableColumns) -> bool:
    return other.image is not None and other.rank < manifest.rank


def _label_rows(
    table: Table,
    columns: TableColumns,
    joined: Sequence[Mapping[str, OtherRow]],
    files: ImageFiles,
    faults: Faults,
) -> tuple[list[LabelRow], list[str]]:
    """The rows, and a note on those whose label is only of a coarser column."""
    if not table.rows and faults.found:
        what = f"no row can be used: {faults.notes()[0]}"
        raise DatasetError(what, where=table.path, remedy="Correct the rows")
    if not table.rows:
        raise DatasetError("a header but no rows", where=table.path, remedy="Add a row for each image")
    rows: list[LabelRow] = []
    coarse: list[str] = []
    for number, cells in table.rows:
        place = f"{table.path}, row {number}"
        text = cells[columns.image or ""]
        with faults.left_out():
            if not image_name(text):
                where = f"{place}, column {columns.image}"
                raise DatasetError("no image", where=where, remedy="Name the image")
            name = files.identify(text, place, alike=True)
            faults.images.add(name)
            label, column = columns.label(cells, place)
            others = [one[name] for one in joined if name in one]
            rows.append(LabelRow(name, label, place, *joined_attributes(cells, others)))
            coarse += [column] if column and column != columns.labels[0] else []
    share = f"{len(coarse)} of {len(rows)} images have no {columns.labels[0]}: "
    return rows, [share + f"their label is that of {', '.join(dict.fromkeys(coarse))}"] if coarse else []


def _other_pictures(
    table: Table, columns: TableColumns, files: ImageFiles, named: set[str]
) -> tuple[set[str], list[str]]:
    """Images that other columns name, as Derm7pt's ``clinic`` names clinical pictures, and a note on them."""
    others = [name for name in table.columns if name != columns.image and _holds_names(table, name)]
    found: set[str] = set()
    for text in {cells[name] for _, cells in table.rows for name in others}:
        with suppress(DatasetError):  # several images have the name: none is meant for sure
            found.add(files.identify(text, table.path))
    found = (found & files.images.keys()) - named
    return found, [f"{len(found)} left out, images of the column {', '.join(others)}"] if found else []


def _of_a_test(
    joined: Mapping[Path, Mapping[str, object]], files: ImageFiles, named: set[str]
) -> tuple[set[str], list[str]]:
    """Images that only the table of a test names, whose labels are not published, and a note on them."""
    tests = [file for file in joined if _TEST.search(file.stem)]
    found = {name for file in tests for name in joined[file]} & files.images.keys() - named
    names = ", ".join(file.name for file in tests)
    return found, [f"{len(found)} left out, images without label of {names}"] if found else []


def _holds_names(table: Table, column: str) -> bool:
    return names_image(next((cells[column] for _, cells in table.rows if cells[column].strip()), ""))


def _wrong_columns(
    path: Path, header: Sequence[str], columns: TableColumns, names: ColumnNames
) -> DatasetError:
    lacking = "label" if columns.image else "image"
    asked = names.label if columns.image else names.image
    what = f"no column {asked!r}" if asked is not None else f"no {lacking} column"
    return DatasetError(f"{what} among {', '.join(header)}", where=f"{path}, row 1", remedy=_REMEDY)
