"""Which columns of a table name the image and its label: ours, and those of the public data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import composed, is_missing, read_number
from dermafed.shared.lesions.diagnoses import canonical, is_spelled_out
from dermafed.shared.lesions.readers.rows import first_column

# The later ones: PAD-UFES-20, BCN20000, Derm7pt.
IMAGE_COLUMNS = (
    *("image_id", "isic_id", "image", "image_name", "filename", "file_name", "file"),
    *("img_id", "bcn_filename", "derm"),
    *("image_path", "img_path", "file_path", "filepath", "img"),
)
LABEL_COLUMNS = ("diagnosis", "dx", "label", "class", "diagnostic")  # the last: PAD-UFES-20
# The trees of diagnoses of the ISIC archive since 2024 and of ISIC 2024; their third level is the disease.
TREES = (("diagnosis_3", "diagnosis_2", "diagnosis_1"), ("iddx_3", "iddx_2", "iddx_1"))
BINARY_COLUMNS = ("benign_malignant", "target", "malignant")  # ISIC 2020 and 2024
_BINARY = {
    **dict.fromkeys(("malignant", "1", "1.0", "true"), "malignant"),
    **dict.fromkeys(("benign", "0", "0.0", "false"), "benign"),
}
_ISIC_2017 = {"melanoma", "seborrheic_keratosis"}


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns that a person names; ``None``: those of an accepted name.

    Attributes:
        image: of the image.
        label: of the label.
    """

    image: str | None = None
    label: str | None = None

    def __bool__(self) -> bool:
        return self.image is not None or self.label is not None


class Rank(IntEnum):
    """What a table says of its labels; the table that says most is the manifest."""

    NONE = 0
    BINARY = 1
    DIAGNOSIS = 2


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of one table.

    Attributes:
        image: of the image, or ``None``.
        labels: of the label, the best first.
        one_hot: whether each label column is a class.
    """

    image: str | None
    labels: tuple[str, ...] = ()
    one_hot: bool = False

    @property
    def rank(self) -> Rank:
        """What the table says of its labels; nothing if it names no image."""
        if self.image is None or not self.labels:
            return Rank.NONE
        return Rank.BINARY if _is_binary(self.labels[0]) else Rank.DIAGNOSIS

    def has(self, names: ColumnNames) -> bool:
        """Whether the table has the columns that a person names."""
        return (names.image is None or self.image is not None) and (names.label is None or self.labels != ())

    def label(self, cells: Mapping[str, str], place: str) -> tuple[str, str]:
        """The label of a row and its column; both empty if it has none.

        Raises:
            DatasetError: a one-hot or a binary row is ambiguous.
        """
        if self.one_hot:
            return _one_hot(cells, self.labels, place), ""
        column = next((column for column in self.labels if not is_missing(cells[column])), "")
        if column and _is_binary(column):
            return _binary(cells[column], f"{place}, column {column}"), column
        return (cells[column].strip(), column) if column else ("", "")


def table_columns(columns: Sequence[str], names: ColumnNames) -> TableColumns:
    """Find the columns of the image and the label in a header."""
    image = first_column(columns, [_key(names.image)] if names.image is not None else IMAGE_COLUMNS)
    if names.label is not None:
        chosen = first_column(columns, [_key(names.label)])
        return TableColumns(image, () if chosen is None else (chosen,))
    single = first_column(columns, LABEL_COLUMNS)
    binary = _present(columns, BINARY_COLUMNS)
    if single is not None:
        return TableColumns(image, (single, *(column for column in binary[:1] if column != single)))
    tree = next((found for tree in TREES if (found := _present(columns, tree))), ())
    if tree:
        return TableColumns(image, tree)
    one_hot = tuple(column for column in columns if is_spelled_out(column))
    if len(one_hot) > 1:
        return TableColumns(image, one_hot, one_hot=True)
    return TableColumns(image, binary)


def _key(name: str) -> str:
    return composed(name.strip()).casefold()


def _present(columns: Iterable[str], accepted: Sequence[str]) -> tuple[str, ...]:
    columns = list(columns)
    return tuple(column for name in accepted if (column := first_column(columns, (name,))))


def _is_binary(column: str) -> bool:
    return column.strip().casefold() in BINARY_COLUMNS


def _binary(text: str, place: str) -> str:
    word = text.strip().casefold()
    if word.startswith("indeterminate"):
        return "indeterminate"
    if word not in _BINARY:
        raise DatasetError(f"{text!r} is neither benign nor malignant", where=place, remedy="Write 0 or 1")
    return _BINARY[word]


def _one_hot(cells: Mapping[str, str], columns: Sequence[str], place: str) -> str:
    """The label of a one-hot row; ISIC 2017 has no column for nevus, which is what remains."""
    chosen = [column for column in columns if _bit(cells[column], f"{place}, column {column}")]
    if not chosen and {canonical(column) for column in columns} == _ISIC_2017:
        return "nevus"
    if len(chosen) != 1:
        what = f"several labels ({', '.join(chosen)})" if chosen else "no label"
        raise DatasetError(f"{what} in a one-hot row", where=place, remedy="Write 1 in exactly one column")
    return chosen[0]


def _bit(text: str, place: str) -> bool:
    word = {"true": "1", "false": "0"}.get(text.strip().casefold(), text)  # as pandas writes them
    try:
        number = read_number(word)
    except ValueError:
        number = -1
    if number not in (0, 1):
        raise DatasetError(f"{text!r} in a one-hot column", where=place, remedy="Write 0 or 1")
    return number == 1
