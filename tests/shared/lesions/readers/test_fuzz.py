"""Label files of any content end in records or in a message."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.labelme import labelme_to_coco
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import images

TEXTS = ["", "a", "a.jpg", "x/b.jpg", "e\u0301", "\ud800", "../a.jpg", "/", "nevus", "mel", "85+", "unknown"]
KINDS = ["polygon", "mask", "circle", "rotation"]
OTHERS: list[Any] = [None, True, 0, 1, 2, -1, 1.5, 1e308, float("nan"), 10**40, [], {}, ["x"]]
NESTED: list[Any] = [{"nevus": True}, {"a": 1, "b": 0}, [[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 9]]]
VALUES = st.sampled_from([*TEXTS, *KINDS, *OTHERS, *NESTED])
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg", "age": 3}, {"id": 2, "file_name": "x/b.jpg", "sex": "f"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1},
        {"id": 2, "image_id": 2, "category_id": 2},
    ],
    "categories": [{"id": 1, "name": "nevus"}, {"id": 2, "name": "mel"}],
}
LABELME: dict[str, Any] = {
    "imagePath": "a.jpg",
    "imageWidth": 20,
    "imageHeight": 10,
    "flags": {"nevus": False},
    "shapes": [
        {"label": "nevus", "points": [[1, 2], [3, 4], [5, 9]], "shape_type": "polygon", "group_id": None},
        {"label": "nevus", "points": [[5, 5], [7, 7]], "shape_type": "circle", "mask": "AAAA"},
    ],
}
CSV = """sep=;
image;diagnosis;age;sex;site;clinic;
a.jpg;nevus;40,5;f;back;graz;
x/b.jpg;mel;85+;m;other;nan;
"""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value within a JSON document, but to the whole."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    )
    return [place for key, own in items for place in ((*path, key), *places(own, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A JSON document with another value at a place, if the place is still there."""
    if not path:
        return new
    if isinstance(value, dict):
        return {key: changed(own, path[1:], new) if key == path[0] else own for key, own in value.items()}
    if isinstance(value, list):
        return [changed(own, path[1:], new) if at == path[0] else own for at, own in enumerate(value)]
    return value


@st.composite
def documents(draw: st.DrawFn, start: dict[str, Any]) -> str:
    document = start
    for place in draw(st.lists(st.sampled_from(places(start)), max_size=3)):
        document = changed(document, place, draw(VALUES))
    return json.dumps(document)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    data = CSV.encode()
    piece = st.sampled_from(
        [b"", b";", b",", b"\n", b'"', b"\0", b"\xff", "é".encode(), b"unknown", b"\r", b"1"]
    )
    for at, length, new in draw(
        st.lists(st.tuples(st.integers(0, len(data)), st.integers(0, 3), piece), max_size=5)
    ):
        data = data[:at] + new + data[at + length :]
    return data


def read(folder: Path) -> None:
    for skip_bad in (False, True):
        for columns in (None, ColumnNames(label="clinic")):
            with suppress(DatasetError):
                records = load_dataset(folder, skip_bad=skip_bad, columns=columns).records
                assert all(record.path.is_file() and record.label for record in records)


@settings(max_examples=150, deadline=None)
@given(table=tables(), name=st.sampled_from(["m.csv", "m.tab", "m", "m.txt"]))
def test_tables(tmp_path_factory: pytest.TempPathFactory, table: bytes, name: str) -> None:
    folder = images(tmp_path_factory.mktemp("set"), "a.jpg", "x/a.jpg", "x/b.jpg")
    (folder / name).write_bytes(table)
    read(folder)


@settings(max_examples=150, deadline=None)
@given(text=documents(COCO))
def test_coco(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = images(tmp_path_factory.mktemp("set"), "a.jpg", "x/a.jpg", "x/b.jpg")
    (folder / "coco.json").write_text(text)
    read(folder)


@settings(max_examples=150, deadline=None)
@given(text=documents(LABELME))
def test_labelme(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = images(tmp_path_factory.mktemp("set"), "a.jpg", "x/a.jpg")
    (folder / "a.json").write_text(text)
    read(folder)
    with suppress(DatasetError):
        labelme_to_coco(folder, folder / "coco.json")
    read(folder)
