"""Tables beside a manifest, such as metadata and lesions, whose rows are joined to its by image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.columns import TableColumns
from dermafed.shared.lesions.readers.faults import Faults
from dermafed.shared.lesions.readers.image_files import ImageFiles
from dermafed.shared.lesions.readers.rows import METADATA_COLUMNS, first_column
from dermafed.shared.lesions.readers.tables import Table


class OtherRow(NamedTuple):
    """The row of an image in a table beside the manifest.

    Attributes:
        place: place of the row, for error messages.
        cells: the cells by column name.
    """

    place: str
    cells: Mapping[str, str]


def is_apart(table: Table, columns: TableColumns) -> bool:
    """Whether a table has several rows of an image and nothing that is used, as readers' answers have."""
    rows: dict[str, dict[str, str]] = {}
    several = any(rows.setdefault(cells[columns.image or ""], cells) != cells for _, cells in table.rows)
    return several and first_column(table.columns, METADATA_COLUMNS) is None


def by_image(table: Table, columns: TableColumns, files: ImageFiles, faults: Faults) -> dict[str, OtherRow]:
    """The rows of a table that says less, by image; of an image's contradicting rows, none.

    Raises:
        DatasetError: an image occurs twice; only if ``faults`` raises.
    """
    rows: dict[str, OtherRow] = {}
    twice: set[str] = set()
    for number, cells in table.rows:
        row = OtherRow(f"{table.path}, row {number}", cells)
        place = f"{row.place}, column {columns.image}"
        with faults.left_out():
            name = files.identify(cells[columns.image or ""], place, alike=True)
            if rows.setdefault(name, row) is not row:
                twice |= {name} if rows[name].cells != cells else set()
                raise DatasetError(f"image {name!r} occurs twice", where=place, remedy="Keep one")
    return {name: row for name, row in rows.items() if name not in twice}


def joined_attributes(
    cells: Mapping[str, str], others: Iterable[OtherRow]
) -> tuple[dict[str, str], dict[str, str]]:
    """All columns of an image, and the place of those that are another table's.

    A column that tables share is the manifest's own, unless its cell is empty.
    """
    attributes: dict[str, str] = {}
    places: dict[str, str] = {}
    for other in others:
        attributes |= other.cells
        places |= dict.fromkeys(other.cells, other.place)
    own = {key: text for key, text in cells.items() if text.strip() or key not in attributes}
    return attributes | own, {key: place for key, place in places.items() if key not in own}
