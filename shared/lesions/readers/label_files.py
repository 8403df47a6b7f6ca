"""Read label files, CSV tables and JSON documents; every error names the row, or line and column."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from dermafed.shared.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file.

    Attributes:
        path: the file.
        columns: the column names, in order.
        rows: the cells by column name, each with its row number (the header is row 1).
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def find_tables(folder: Path) -> list[Path]:
    """List the CSV files that lie in a folder itself."""
    return sorted(path for path in folder.glob("*.[cC][sS][vV]") if not path.name.startswith("."))


def read_table(path: Path) -> Table:
    """Read a CSV file in UTF-8, separated by commas, semicolons or tabs.

    The standard reader is used instead of pandas: it guesses no types, reads an image called ``NA`` as
    it is, and lets an error name a row with too many or too few cells.

    Raises:
        DatasetError: the file cannot be read, is empty, repeats a column, or has a row of another length.
    """
    cells = _cells(path, None)
    columns = _columns(path, cells)
    rows = [
        (number, row) for number, row in enumerate(cells[1:], start=2) if any(cell.strip() for cell in row)
    ]
    for number, row in rows:
        if len(row) != len(columns):
            raise DatasetError(
                f"{len(row)} cells where the header has {len(columns)}",
                where=f"{path}, row {number}",
                remedy="Quote cells that contain a separator, and give each row as many cells as the header",
            )
    return Table(path, columns, tuple((number, dict(zip(columns, row, strict=True))) for number, row in rows))


def read_columns(path: Path) -> tuple[str, ...]:
    """Read the header of a CSV file only; errors as `read_table`."""
    return _columns(path, _cells(path, 1))


def _columns(path: Path, cells: list[list[str]]) -> tuple[str, ...]:
    if not cells:
        raise DatasetError("the file is empty", where=path, remedy="Give a CSV file with a header and rows")
    columns = tuple(name.strip() for name in cells[0])
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise DatasetError(
            f"column {repeated[0]!r} occurs twice", where=f"{path}, row 1", remedy="Rename one"
        )
    return columns


def _cells(path: Path, limit: int | None) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=header.count), strict=True)
            return list(islice(reader, limit))
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"byte {error.start} is not UTF-8 text", where=path, remedy="Save it as CSV in UTF-8"
        ) from error
    except csv.Error as error:
        raise DatasetError(
            f"not a CSV file: {error}", where=path, remedy="Save it as CSV in UTF-8"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}", where=path, remedy="Check the file"
        ) from error


def find_documents(folder: Path) -> list[Path]:
    """List the JSON files anywhere below a folder."""
    return sorted(path for path in folder.rglob("*.[jJ][sS][oO][nN]") if not path.name.startswith("."))


def read_document(path: Path) -> Any:
    """Read a JSON file in UTF-8.

    Raises:
        DatasetError: the file cannot be read, or is not JSON; line and column are named.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise DatasetError(f"not JSON: {error.msg}", where=place, remedy="Export the file again") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise DatasetError("not JSON in UTF-8", where=path, remedy="Export the file again") from error
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}", where=path, remedy="Check the file"
        ) from error


def document_kind(document: Any) -> Literal["COCO", "LabelMe"] | None:
    """Return the format of a JSON document, or ``None`` if it is neither."""
    if not isinstance(document, dict):
        return None
    if all(isinstance(document.get(part), list) for part in ("images", "annotations", "categories")):
        return "COCO"
    return "LabelMe" if isinstance(document.get("shapes"), list) and "imagePath" in document else None


def folder_kind(folder: Path) -> Literal["COCO", "LabelMe"] | None:
    """Return the format of the first COCO or LabelMe document below a folder, or ``None`` without one."""
    kinds = (document_kind(read_document(path)) for path in find_documents(folder))
    return next((kind for kind in kinds if kind), None)
