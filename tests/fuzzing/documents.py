"""Changes of a document of JSON types that bytes stand for; most random bytes are no document at all."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable, Iterator
from typing import Any

LENGTH = 11  # bytes of a change: which place in two, what to put there, and a value
_MOST, _LARGEST = 30, 250  # changes, and values in a document that is changed further
_VALUES: tuple[Callable[[bytes], Any], ...] = (
    lambda data: struct.unpack("<q", data)[0],
    lambda data: struct.unpack("<d", data)[0],
    lambda data: data[0],
    lambda data: -data[0],
    lambda data: 10.0 ** (data[0] - 128),
    lambda data: data.decode("latin-1"),
    lambda data: data.decode("utf-8", "replace") * data[0],
    lambda data: bool(data[0]),
    lambda data: None,
    lambda data: list(data[: data[0] % 9]),
    lambda data: [data.decode("latin-1")] * (data[0] % 9),
    lambda data: {data.decode("latin-1"): data[0]},
    lambda data: [[[]]] * (data[0] % 9),
    lambda data: {},
)
_OTHERS = 3  # removes a value, copies another one there, or adds one under another name


def edited(document: Any, data: bytes) -> Any:
    """The document with the changes that bytes stand for."""
    whole = [copy.deepcopy(document)]
    for start in range(0, min(len(data), _MOST * LENGTH) - LENGTH + 1, LENGTH):
        change = data[start : start + LENGTH]
        places = list(_places(whole))
        if len(places) > _LARGEST:  # a copy of the whole within itself doubles it
            break
        parent, key = places[int.from_bytes(change[:2], "little") % len(places)]
        _apply(places, parent, key, change[2], change[3:])
    return whole[0] if whole else None


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each of its keys or indices."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _apply(places: list[tuple[Any, Any]], parent: Any, key: Any, what: int, value: bytes) -> None:
    what %= len(_VALUES) + _OTHERS
    if what < len(_VALUES):
        parent[key] = _VALUES[what](value)
    elif what == len(_VALUES) and isinstance(parent, dict):
        del parent[key]
    elif what == len(_VALUES) + 1:
        other, at = places[int.from_bytes(value[:2], "little") % len(places)]
        parent[key] = copy.deepcopy(other[at])
    elif isinstance(parent, dict):
        parent[value.decode("latin-1").rstrip("\0")] = parent[key]
