"""Tables whose rows are not those of CSV: each is named, and none is lost unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import images, table


def labels(path: Path) -> dict[str, str]:
    return {record.image_id: record.label for record in load_dataset(path).records}


def test_a_quote_in_a_row_is_a_bad_row(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table(tmp_path / "m.csv", 'image,diagnosis,notes\na,nv,\nb,nv,"6 mm" wide\nc,mel,5" wide\n')
    with pytest.raises(DatasetError, match=r"not a CSV file: .* \(.*row 3\)"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert [record.image_id for record in dataset.records] == ["a", "c"]
    assert any(note.startswith("1 left out, bad entry: not a CSV file") for note in dataset.notes)


def test_a_quote_that_is_never_closed_loses_no_row_unseen(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table(tmp_path / "m.csv", 'image,diagnosis,notes\na,nv,\nb,nv,"6 mm\nc,mel,\n')
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert [record.image_id for record in dataset.records] == ["a"]
    assert "2 left out, image without label: b, c" in dataset.notes


def test_spaces_before_quotes_and_truth_values(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    path = table(tmp_path / "m.csv", 'image, "diagnosis"\na, "nv"\n"b", mel\n')
    assert labels(tmp_path) == {"a": "nv", "b": "mel"}
    table(path, "image,MEL,NV\na,False,True\nb,TRUE,FALSE\n")
    assert labels(tmp_path) == {"a": "NV", "b": "MEL"}


def test_utf_16_without_its_mark_is_named(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg")
    (tmp_path / "m.csv").write_bytes("image,diagnosis\na,nv\n".encode("utf-16-le"))
    with pytest.raises(DatasetError, match="the header is not UTF-8 text"):
        load_dataset(tmp_path)


def test_a_bad_value_of_a_joined_table_is_named_there(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    table(tmp_path / "m.csv", "image,diagnosis,sex\na,nv,f\nb,mel,f\n")
    joined = table(tmp_path / "z.csv", "image,age,sex\nb,50,?\na,old,?\n")
    with pytest.raises(DatasetError, match=r"age of a is 'old' \(.*z\.csv, row 3, column age\)"):
        load_dataset(tmp_path)
    table(tmp_path / "m.csv", "image,diagnosis,sex\na,nv,f\nb,mel,perhaps\n")
    table(joined, "image,age,sex\nb,50,?\na,40,?\n")
    with pytest.raises(DatasetError, match=r"sex of b is 'perhaps' \(.*m\.csv, row 3, column sex\)"):
        load_dataset(tmp_path)


def test_a_column_that_is_named_is_looked_for_in_every_table(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    table(tmp_path / "a.csv", "image,MEL,NV\na,1,0\nb,0,1\n")
    table(tmp_path / "b.csv", "Bild,Befund\na,nv\nb,mel\n")
    with pytest.raises(DatasetError, match=r"no image column among Bild, Befund \(.*b\.csv"):
        load_dataset(tmp_path, columns=ColumnNames(label="Befund"))
    with pytest.raises(DatasetError, match=r"no label column among Bild, Befund \(.*b\.csv"):
        load_dataset(tmp_path, columns=ColumnNames(image="Bild"))


def test_a_lock_of_office_is_no_table(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg")
    table(tmp_path / "m.csv", "image,diagnosis\na,nv\n")
    table(tmp_path / "~$m.csv", "\0\0")
    assert labels(tmp_path) == {"a": "nv"}
