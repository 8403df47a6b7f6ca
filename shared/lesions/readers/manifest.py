"""A CSV manifest beside its images: our columns, HAM10000's, the ISIC archive's, one-hot label files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.diagnoses import canonical, is_known
from dermafed.shared.lesions.readers.image_files import find_images, image_name
from dermafed.shared.lesions.readers.label_files import Table, find_tables, read_columns, read_table
from dermafed.shared.lesions.readers.rows import Dataset, LabelRow, first_column, is_missing, to_records

IMAGE_COLUMNS = ("image_id", "isic_id", "image", "image_name", "filename", "file_name", "file")
LABEL_COLUMNS = ("diagnosis", "dx", "label", "class")
# The ISIC archive's export since 2024 has a tree of diagnoses; its third level is the disease.
TREE_COLUMNS = ("diagnosis_3", "diagnosis_2", "diagnosis_1")
_ISIC_2017 = {"melanoma", "seborrheic_keratosis"}
_REMEDY = (
    f"Name the image column {', '.join(IMAGE_COLUMNS[:3])} ... and the label column "
    f"{', '.join(LABEL_COLUMNS)}, or give one-hot columns named by diagnoses"
)


def is_manifest(path: Path) -> bool:
    """Whether this is a CSV file, or a folder that has one."""
    return bool(find_tables(path)) if path.is_dir() else path.suffix.lower() == ".csv"


def read_manifest(path: Path, skip_bad: bool) -> Dataset:
    """Read a manifest: a CSV file, or a folder with one that has labels.

    Other CSV files in the folder that have an image column but no labels (metadata, lesion groups) are joined
    by image. Where several files have labels, ``path`` must name one; images that it does not label are then
    ignored.

    Args:
        path: the CSV file or its folder; the images lie anywhere below the folder.
        skip_bad: leave out labels without image and images without label, instead of raising.

    Raises:
        DatasetError: the manifest cannot be used; file, row and column are named.
    """
    folder = path if path.is_dir() else path.parent
    columns = {
        file: read_columns(file) for file in {*find_tables(folder), *([] if path.is_dir() else [path])}
    }
    labelled = sorted(file for file in columns if _label_columns(columns[file]))
    chosen = path if path in columns else _only_manifest(folder, sorted(columns), labelled)
    if chosen not in labelled:
        raise _wrong_columns(chosen, columns[chosen])
    others = [file for file in sorted(columns) if file not in labelled and _image_column(columns[file])]
    joined = [_by_image(read_table(file)) for file in others]
    rows = _label_rows(read_table(chosen), joined)
    records, notes = to_records(rows, find_images(folder), skip_bad=skip_bad, all_images=len(labelled) < 2)
    notes = [*(f"{file.name} was joined by image" for file in others), *notes]
    return Dataset(records, chosen, "CSV manifest", tuple(notes))


def _only_manifest(folder: Path, tables: Sequence[Path], labelled: Sequence[Path]) -> Path:
    if len(labelled) > 1:
        names = ", ".join(file.name for file in labelled)
        raise DatasetError(
            f"several manifests: {names}", where=folder, remedy=f"Choose one, such as {labelled[0]}"
        )
    return labelled[0] if labelled else tables[0]


def _image_column(columns: Iterable[str]) -> str | None:
    return first_column(columns, IMAGE_COLUMNS)


def _label_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The label columns: one, or a tree, or one-hot; none if there is no image column."""
    if _image_column(columns) is None:
        return ()
    single = first_column(columns, LABEL_COLUMNS)
    if single is not None:
        return (single,)
    tree = tuple(column for level in TREE_COLUMNS if (column := first_column(columns, (level,))))
    one_hot = tuple(column for column in columns if is_known(column))
    return tree or (one_hot if len(one_hot) > 1 else ())


def _by_image(table: Table) -> dict[str, dict[str, str]]:
    """The rows of a file without labels, by image."""
    column = _image_column(table.columns) or ""
    rows: dict[str, dict[str, str]] = {}
    for number, cells in table.rows:
        name = image_name(cells[column])
        if name in rows:
            place = f"{table.path}, row {number}, column {column}"
            raise DatasetError(f"image {name!r} occurs twice", where=place, remedy="Keep one")
        rows[name] = cells
    return rows


def _label_rows(table: Table, joined: Sequence[Mapping[str, dict[str, str]]]) -> list[LabelRow]:
    if not table.rows:
        raise DatasetError("a header but no rows", where=table.path, remedy="Add a row for each image")
    image_column, label_columns = _image_column(table.columns) or "", _label_columns(table.columns)
    rows = []
    for number, cells in table.rows:
        place = f"{table.path}, row {number}"
        name = image_name(cells[image_column])
        if not name:
            raise DatasetError("no image", where=f"{place}, column {image_column}", remedy="Name the image")
        label = _label(cells, label_columns, place)
        rows.append(
            LabelRow(name, label, place, _attributes(cells, [other.get(name, {}) for other in joined]))
        )
    return rows


def _attributes(cells: Mapping[str, str], others: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All columns of an image; a column that files share is the manifest's own, unless its cell is empty."""
    attributes: dict[str, str] = {}
    for other in others:
        attributes |= other
    return attributes | {key: text for key, text in cells.items() if text.strip() or key not in attributes}


def _label(cells: Mapping[str, str], columns: Sequence[str], place: str) -> str:
    if columns[0].casefold() in TREE_COLUMNS:
        return next((cells[level] for level in columns if not is_missing(cells[level])), "")
    return cells[columns[0]] if len(columns) == 1 else _one_hot(cells, columns, place)


def _one_hot(cells: Mapping[str, str], columns: Sequence[str], place: str) -> str:
    """The label of a one-hot row; ISIC 2017 has no column for nevus, which is what remains."""
    for column in columns:
        if cells[column].strip() not in ("0", "1", "0.0", "1.0"):
            raise DatasetError(
                f"{cells[column]!r} in a one-hot column",
                where=f"{place}, column {column}",
                remedy="Write 0 or 1",
            )
    chosen = [column for column in columns if float(cells[column]) == 1]
    if not chosen and {canonical(column) for column in columns} == _ISIC_2017:
        return "nevus"
    if len(chosen) != 1:
        what = f"several labels ({', '.join(chosen)})" if chosen else "no label"
        raise DatasetError(f"{what} in a one-hot row", where=place, remedy="Write 1 in exactly one column")
    return chosen[0]


def _wrong_columns(path: Path, columns: Sequence[str]) -> DatasetError:
    lacking = "label" if _image_column(columns) else "image"
    return DatasetError(
        f"no {lacking} column among {', '.join(columns)}", where=f"{path}, row 1", remedy=_REMEDY
    )
