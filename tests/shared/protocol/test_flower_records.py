"""Arrays whose bytes a hostile sender has made: nothing is read of them, and only our error comes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import read_array, to_arrays

VALUES = np.arange(4, dtype=np.float32)


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)  # type: ignore[arg-type]
    return file.getvalue()


def zipped(name: str = "weights.npy") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, npy(VALUES))
    return file.getvalue()


WHOLE = npy(VALUES)
DAMAGED: dict[str, Callable[[], bytes]] = {
    "a header that no line ends": lambda: WHOLE.replace(b", }", b", [", 1),
    "a header of other characters": lambda: WHOLE.replace(b"(4,)", b"(4\xa6)", 1),
    "a header of nested brackets": lambda: WHOLE.replace(b"'shape'", b"((((((("),
    "an archive of arrays": zipped,
    "an archive of something else": lambda: zipped("x"),
    "the start of an archive": lambda: zipped()[:40],
    "objects": lambda: npy(np.array([{}], object)),
    "a cut one": lambda: WHOLE[:-3],
    "nothing": lambda: b"",
    "a shape of many terabytes": lambda: WHOLE.replace(b"(4,), }        ", b"(4000000000000,", 1),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_no_bytes_of_an_array_raise_anything_but_our_error(name: str) -> None:
    array = Array("float32", VALUES.shape, "numpy.ndarray", DAMAGED[name]())
    content = RecordDict({"weights": ArrayRecord({"weights": array})})
    with pytest.raises(FederationError, match="'weights'"):
        read_array(content, "weights", "weights", np.float32)


def test_the_bytes_of_a_whole_array_are_read() -> None:
    content = RecordDict({"weights": ArrayRecord({"weights": Array(VALUES)})})
    np.testing.assert_array_equal(read_array(content, "weights", "weights", np.float32), VALUES)


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        np.zeros((2, 3), np.int64),
        np.zeros(0),
        np.zeros((3, 0, 2), np.uint8),
        np.array([True, False]),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
    ],
)
def test_an_array_is_written_as_flower_writes_it_and_read_again(values: np.ndarray) -> None:
    record = to_arrays(values=values)
    flowers = Array(np.ascontiguousarray(values))
    assert [getattr(record["values"], name) for name in ("dtype", "shape", "stype", "data")] == [
        getattr(flowers, name) for name in ("dtype", "shape", "stype", "data")
    ]
    found = read_array(RecordDict({"record": record}), "record", "values", values.dtype.type, values.shape)
    np.testing.assert_array_equal(found, values)
    assert found.flags.writeable


def test_an_array_in_the_order_of_fortran_is_read_too() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = Array("float32", (2, 3), "numpy.ndarray", npy(np.asfortranarray(values)))
    content = RecordDict({"record": ArrayRecord({"values": array})})
    np.testing.assert_array_equal(read_array(content, "record", "values", np.float32, (2, 3)), values)


def test_an_array_of_another_form_than_numpys_is_refused() -> None:
    content = RecordDict({"record": ArrayRecord({"values": Array("float32", (4,), "torch", WHOLE)})})
    with pytest.raises(FederationError, match="cannot be read"):
        read_array(content, "record", "values", np.float32)
