"""Read tables as spreadsheets and archives export them; every error names the row."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import composed
from dermafed.shared.lesions.readers.faults import Faults

TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
_SEPARATORS = ",;\t"
_EXCEL = re.compile(r'"?sep=([,;|\t])"?[\s,;]*', re.IGNORECASE)  # Excel's own first line
_NO_TABLES = ("sample_submission", "~$")  # Kaggle's made-up answers for the test, locks of Office
_HEADER_BYTES = 1 << 16

Row = tuple[int, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table in a text file.

    Attributes:
        path: the file.
        columns: the column names, in order.
        rows: the cells by column name, each with its row number in the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def find_tables(folder: Path) -> list[Path]:
    """List the tables that lie in a folder itself, by their suffix."""
    tables = (path for path in list_files(folder) if path.suffix.lower() in TABLE_SUFFIXES)
    return [path for path in tables if not path.name.casefold().startswith(_NO_TABLES)]


def list_files(folder: Path) -> list[Path]:
    """List the files that lie in a folder itself but hidden ones, in order of name.

    Raises:
        DatasetError: the folder cannot be read.
    """
    return _entries(folder, os.DirEntry.is_file)


def list_folders(folder: Path) -> list[Path]:
    """List the folders that lie in a folder itself but hidden ones; errors as `list_files`."""
    return _entries(folder, os.DirEntry.is_dir)


def _entries(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:  # a folder may have a million images
            return [
                folder / name for name in sorted(e.name for e in entries if e.name[0] != "." and wanted(e))
            ]
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}", where=folder, remedy="Check your permission to read it"
        ) from error


def read_table(path: Path, faults: Faults | None = None) -> Table:
    """Read a table in UTF-8 or UTF-16, separated by commas, semicolons or tabs, or as ``sep=`` says.

    The standard reader is used instead of pandas: it guesses no types, reads an image called ``NA`` as
    it is, and lets an error name a row with too many or too few cells. Texts are in Unicode's composed form.
    Columns without name and content are dropped.

    Args:
        path: the file.
        faults: takes the rows that are bad; by default they are raised.

    Raises:
        DatasetError: the file cannot be read, is empty, repeats a column, or has a row of another length.
    """
    faults = faults or Faults(skip=False)
    start, cells = _cells(path, None, faults)
    columns = _columns(path, start, cells)
    rows: list[Row] = []
    for number, row in enumerate(cells[1:], start=start + 1):
        if any(cell.strip() for cell in row):
            with faults.left_out():
                rows.append((number, _row(row, columns, f"{path}, row {number}")))
    return Table(path, columns, tuple(rows))


def read_columns(path: Path) -> tuple[str, ...]:
    """Read the header of a table only; errors as `read_table`."""
    return _columns(path, *_cells(path, 1, Faults(skip=True)))


def sniff_columns(path: Path) -> tuple[str, ...]:
    """The first line of any file as a header; empty if it cannot be one."""
    try:
        with path.open("rb") as file:
            line = file.readline(_HEADER_BYTES)
        text = line.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ()
    if "\0" in text or not line.endswith(b"\n"):
        return ()
    return tuple(name.strip().strip('"') for name in text.split(_separator(text)))


def _row(row: Sequence[str], columns: Sequence[str], place: str) -> dict[str, str]:
    while len(row) > len(columns) and not row[-1].strip():
        row = row[:-1]
    if len(row) != len(columns):
        raise DatasetError(
            f"{len(row)} cells where the header has {len(columns)}",
            where=place,
            remedy="Quote cells that contain a separator, and give each row as many cells as the header",
        )
    if _is_garbled(row):
        raise DatasetError("not UTF-8 text", where=place, remedy="Save the table as CSV in UTF-8")
    return {name: composed(cell) for name, cell in zip(columns, row, strict=True)}


def _is_garbled(row: Sequence[str]) -> bool:
    """Whether bytes that are not UTF-8 were taken over as surrogates."""
    return any("\udc80" <= letter <= "\udcff" for cell in row if not cell.isascii() for letter in cell)


def _columns(path: Path, start: int, cells: list[list[str]]) -> tuple[str, ...]:
    if not cells:
        raise DatasetError("the file is empty", where=path, remedy="Give a CSV file with a header and rows")
    if _is_garbled(cells[0]) or any("\0" in name for name in cells[0]):
        raise DatasetError("the header is not UTF-8 text", where=path, remedy="Save it as CSV in UTF-8")
    columns = [composed(name.strip()) for name in cells[0]]
    while columns and not columns[-1]:
        columns.pop()
    columns = [name or (f"column {number}" if number > 1 else "") for number, name in enumerate(columns, 1)]
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    if repeated or not columns:
        what = f"column {repeated[0]!r} occurs twice" if repeated else "the header is empty"
        raise DatasetError(what, where=f"{path}, row {start}", remedy="Name each column once")
    return tuple(columns)


def _cells(path: Path, limit: int | None, faults: Faults) -> tuple[int, list[list[str]]]:
    """The number of the header's row, and the cells from it on."""
    try:
        errors = "surrogateescape" if faults.skip else "strict"
        with path.open(encoding=_encoding(path), errors=errors, newline="") as file:
            first = file.readline()
            told = _EXCEL.fullmatch(first)
            header = file.readline() if told else first
            file.seek(0)
            if told:
                file.readline()
            separator = told[1] if told else _separator(header)
            reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
            return 2 if told else 1, list(islice(_well_formed(path, reader, faults), limit))
    except UnicodeError as error:
        byte = getattr(error, "start", 0)
        raise DatasetError(
            f"byte {byte} is not UTF-8 text", where=path, remedy="Save it as CSV in UTF-8"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}", where=path, remedy="Check the file"
        ) from error


def _well_formed(path: Path, rows: Iterator[list[str]], faults: Faults) -> Iterator[list[str]]:
    """The rows of a CSV reader; an empty one in the place of each that cannot be read."""
    for number in count(1):
        row: list[str] | None = []
        with faults.left_out():
            try:
                row = next(rows, None)
            except csv.Error as error:
                remedy = 'Write a quote within quotes twice: "5 "" wide"'
                place = f"{path}, row {number}"
                raise DatasetError(f"not a CSV file: {error}", where=place, remedy=remedy) from error
        if row is None:
            return
        yield row


def _encoding(path: Path) -> str:
    """UTF-8, or the UTF-16 of Excel's "Unicode text", which its first two bytes tell."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)
