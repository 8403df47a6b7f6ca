"""Write Flower's records, and read them without trusting their content."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError

_NPY_HEADER_BYTES = 4096
_Record = TypeVar("_Record")


def to_arrays(**arrays: NDArray[Any]) -> ArrayRecord:
    """Named arrays as a record; each costs Flower two requests."""
    return ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in arrays.items()})


def record_of(content: RecordDict, name: str, kind: type[_Record]) -> _Record:
    """The record of this name and kind.

    Raises:
        FederationError: it is missing, or of another kind.
    """
    record = content.get(name)
    if not isinstance(record, kind):
        raise FederationError(f"the record '{name}' is missing")
    return record


def number(record: Mapping[str, Any], name: str) -> float:
    """The field of this name, an int or a float.

    Raises:
        FederationError: it is missing or not a number.
    """
    if type(record.get(name)) not in (int, float):
        raise FederationError(f"the field '{name}' is not a number")
    return float(record[name])


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
    try:
        values = array.numpy()
    except (ValueError, TypeError, EOFError, OSError, MemoryError, OverflowError, SyntaxError) as error:
        raise FederationError(f"the array '{name}' cannot be read") from error
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
        raise FederationError(f"the array '{name}' is {dtype} {shape}, not {wanted} {wanted_shape}")
