"""Changes of a message's content that bytes stand for: of values, names, records and the bytes of arrays."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from dermafed.client.node.flower.contents import content_from_bytes, content_to_bytes

LENGTH = 12  # bytes of a change: which record, which field, what to do, where, and a value
_VALUES: tuple[Callable[[bytes], Any], ...] = (
    lambda data: struct.unpack("<q", data)[0],
    lambda data: struct.unpack("<d", data)[0],
    lambda data: data[0],
    lambda data: -data[0],
    lambda data: data.decode("latin-1") * (1 + data[0]),
    lambda data: data,
    lambda data: bool(data[0]),
    lambda data: list(struct.unpack("<4h", data)),
    lambda data: [0.5] * data[0],
)
_KINDS = (ArrayRecord, ConfigRecord, MetricRecord)


def read_edited(
    data: bytes, contents: Sequence[RecordDict], readers: Sequence[Callable[[RecordDict], str]]
) -> str:
    """What a reader returns for its content; the first byte says which, the rest what is changed."""
    kind = data[0] % len(readers) if data else 0
    try:
        content = edited(contents[kind], data[1:])
    except ValueError:
        return "no content"
    return readers[kind](content)


def seeds_of(contents: Sequence[RecordDict]) -> list[bytes]:
    """Each content as it is, as bytes, and with a change."""
    kinds = range(len(contents))
    return [
        *(bytes([kind, 1]) for kind in kinds),
        *(bytes([kind, 0]) + content_to_bytes(contents[kind]) for kind in kinds),
        *(bytes([kind, 1]) + bytes([0, 0, 12, 0]) + bytes(LENGTH - 4) for kind in kinds),
    ]


def edited(content: RecordDict, data: bytes) -> RecordDict:
    """The content with changes; first byte 0: the rest is all of it, as bytes.

    Raises:
        ValueError: no content can be made of them.
    """
    if data[:1] == b"\0":
        return content_from_bytes(data[1:])
    changed = content_from_bytes(content_to_bytes(content))
    for change in _changes(data[1:]):
        _apply(changed, change)
    return changed


def _changes(data: bytes) -> Iterator[bytes]:
    for start in range(0, min(len(data), 40 * LENGTH) - LENGTH + 1, LENGTH):
        yield data[start : start + LENGTH]


def _apply(content: RecordDict, change: bytes) -> None:
    record, field, what, where, value = change[0], change[1], change[2], change[3], change[4:]
    names = sorted(content)
    if not names:
        return
    name = names[record % len(names)]
    chosen: Any = content[name]
    if what % 8 == 0:
        del content[name]
    elif what % 8 == 1:
        content[value.decode("latin-1")] = chosen
    elif what % 8 == 2:
        content[name] = _KINDS[where % len(_KINDS)]()
    else:
        _change_field(chosen, sorted(chosen), field, what, where, value)


def _change_field(record: Any, fields: list[str], field: int, what: int, where: int, value: bytes) -> None:
    name = fields[field % len(fields)] if fields else "more"
    try:
        if what % 8 == 3 and fields:
            del record[name]
        elif what % 8 == 4:
            record[value.decode("latin-1")] = _value(record, where, value)
        elif isinstance(record, ArrayRecord) and fields:
            record[name] = _array(record[name], what, where, value)
        else:
            record[name] = _value(record, where, value)
    except (TypeError, ValueError) as error:  # Flower takes no such value
        raise ValueError("no such record") from error


def _value(record: Any, where: int, value: bytes) -> Any:
    if isinstance(record, ArrayRecord):
        return Array("float32", (2,), "numpy.ndarray", value)
    return _VALUES[where % len(_VALUES)](value)


def _array(array: Array, what: int, where: int, value: bytes) -> Array:
    """Another dtype, shape or kind beside the bytes, or other bytes, anywhere in them."""
    kind, data = (what // 8) % 5, bytearray(array.data)
    if kind == 0:
        array.dtype = value.decode("latin-1")
    elif kind == 1:
        array.shape = struct.unpack("<4h", value)[: where % 5]
    elif kind == 2:
        array.stype = value.decode("latin-1")
    elif kind == 3:
        at = int.from_bytes(value[:2], "little") % (len(data) + 1)
        data[at : at + where % 9] = value[2:]
    else:
        # The array's last values: what follows the header.
        width = min(8, len(data))
        at = max(0, len(data) - width * (1 + where))
        data[at : at + width] = value[:width]
    array.data = bytes(data)
    return array
