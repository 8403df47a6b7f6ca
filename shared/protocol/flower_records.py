"""Write Flower's records, and read them without trusting their content."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError

_NUMPY = "numpy.ndarray"  # Flower's name of this form
_NPY_HEADER_BYTES = 4096
_PLAIN = re.compile(r"[<>|=]?[A-Za-z]+[0-9]* \([0-9, ]*\)", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_SHOWN = 60  # characters of a dtype and shape that a clinic wrote
_Record = TypeVar("_Record")


def to_arrays(**arrays: NDArray[Any]) -> ArrayRecord:
    """Named arrays as a record; each costs Flower two requests."""
    return ArrayRecord({name: _array(np.ascontiguousarray(array)) for name, array in arrays.items()})


def _array(values: NDArray[Any]) -> Array:
    """The array as ``Array(values)`` makes it, byte for byte, several times as fast for a small one."""
    # Joined, so that a large one is copied once.
    data = b"".join((_npy_header(values.dtype, values.shape), values.reshape(-1).view(np.uint8).data))
    return Array(str(values.dtype), values.shape, _NUMPY, data)


@lru_cache(maxsize=256)
def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What NumPy writes before the values of a contiguous array."""
    written = BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(written, header)
    return written.getvalue()


def record_of(content: RecordDict, name: str, kind: type[_Record]) -> _Record:
    """The record of this name and kind.

    Raises:
        FederationError: it is missing, or of another kind.
    """
    record = content.get(name)
    if not isinstance(record, kind):
        raise FederationError(f"the record '{name}' is missing")
    return record


def only_records(content: RecordDict, *names: str) -> None:
    """Refuse a reply with other records than these.

    Raises:
        FederationError: without their names, which may be anything.
    """
    _refuse_unknown("records", content.keys() - set(names))


def only_fields(record: Mapping[str, Any], *names: str) -> None:
    """Refuse a record with other fields or arrays than these.

    Raises:
        FederationError: without their names, which may be anything.
    """
    _refuse_unknown("fields", record.keys() - set(names))


def _refuse_unknown(what: str, unknown: set[str]) -> None:
    if unknown:
        raise FederationError(f"it has {len(unknown)} {what} that are not part of this reply")


def work_seconds(record: Mapping[str, Any]) -> float:
    """The field ``seconds``: how long a clinic worked.

    Raises:
        FederationError: it is missing, negative or not finite.
    """
    seconds = number(record, "seconds")
    if not 0 <= seconds < math.inf:
        raise FederationError("its seconds of work are negative or not finite")
    return seconds


def plain_text(record: Mapping[str, Any], name: str, longest: int) -> str:
    """The field of this name, a text that can be shown and logged as it is.

    Raises:
        FederationError: it is missing, not text, too long, or has other characters than printable ASCII.
    """
    value = record.get(name)
    if not isinstance(value, str):
        raise FederationError(f"the field '{name}' is not text")
    if len(value) > longest or not (value.isascii() and value.isprintable()):
        raise FederationError(f"the field '{name}' is not printable ASCII of at most {longest} characters")
    return value


def sha256_text(record: Mapping[str, Any], name: str) -> str:
    """The field of this name, a SHA-256 in 64 hexadecimal digits.

    Raises:
        FederationError: it is missing, or no such text.
    """
    digest = plain_text(record, name, 64)
    if not _SHA256.fullmatch(digest):
        raise FederationError(f"the field '{name}' is no SHA-256")
    return digest


def number(record: Mapping[str, Any], name: str) -> float:
    """The field of this name, an int or a float.

    Raises:
        FederationError: it is missing or not a number.
    """
    value: Any = record.get(name)
    if type(value) not in (int, float):
        raise FederationError(f"the field '{name}' is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise FederationError(f"the field '{name}' is not a number") from error


def whole_number(record: Mapping[str, Any], name: str) -> int:
    """The field of this name, an int.

    Raises:
        FederationError: it is missing or not an int.
    """
    value = record.get(name)
    if type(value) is not int:
        raise FederationError(f"the field '{name}' is not a whole number")
    return value


def read_array(
    content: RecordDict, record: str, name: str, dtype: type[np.generic], shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """An array of a record.

    Args:
        content: what was sent; nothing about it is trusted.
        record: the record's name.
        name: the array's name.
        dtype: the dtype that it must have.
        shape: the shape that it must have; ``None``: any vector.

    Raises:
        FederationError: it is missing, cannot be read, or has another dtype or shape.
    """
    array = record_of(content, record, ArrayRecord).get(name)
    if array is None:
        raise FederationError(f"the array '{name}' is missing")
    wanted = np.dtype(dtype)
    shape = shape or tuple(array.shape[:1])
    _expect(name, array.dtype, tuple(array.shape), wanted, shape)
    if len(array.data) > math.prod(shape) * wanted.itemsize + _NPY_HEADER_BYTES:
        raise FederationError(f"the array '{name}' is larger than its shape")
    header, size = _npy_header(wanted, shape), math.prod(shape) * wanted.itemsize
    if array.stype == _NUMPY and array.data.startswith(header) and len(array.data) == len(header) + size:
        return np.frombuffer(array.data, wanted, offset=len(header)).reshape(shape).copy()
    try:
        values = array.numpy()
    except Exception as error:  # NumPy parses the header as Python, and raises whatever that does
        raise FederationError(f"the array '{name}' cannot be read") from error
    if not isinstance(values, np.ndarray):  # an archive of arrays
        raise FederationError(f"the array '{name}' cannot be read")
    # Once more, because the description beside the bytes and the one inside them may differ.
    _expect(name, values.dtype, values.shape, wanted, shape)
    return values


def _expect(
    name: str,
    dtype: str | np.dtype[Any],
    shape: tuple[int, ...],
    wanted: np.dtype[Any],
    wanted_shape: tuple[int, ...],
) -> None:
    if shape != wanted_shape or str(dtype) != str(wanted):
        found = f"{dtype} {shape}"
        if not (len(found) <= _LONGEST_SHOWN and _PLAIN.fullmatch(found)):
            found = "of another type or shape"
        raise FederationError(f"the array '{name}' is {found}, not {wanted} {wanted_shape}")
