"""A message and its objects in one body: Flower has a call for each object.

A body is a sequence of parts, each after its length (4 bytes, big endian): first Flower's own message of the
call, then the objects, each after its id (32 bytes, SHA-256).
"""

from __future__ import annotations

from collections.abc import Mapping

RECEIVE = "/v1/dermafed/receive"
"""Flower's ``pull-messages``, answered with the message's small objects."""

REPLY = "/v1/dermafed/reply"
"""Flower's ``push-messages``, with objects of the reply."""

OBJECTS = "/v1/dermafed/objects"
"""Flower's ``push-object``, of several objects; the first part names the node, the run and the session."""

LARGEST_BUNDLE = 5 * 2**20 + 64 * 2**10
"""Bytes of the objects in a body: one chunk of an array, as Flower cuts it, and what is small."""

_LENGTH, _ID = 4, 32


def pack(head: bytes, objects: Mapping[str, bytes]) -> bytes:
    """The body of a call or an answer.

    Args:
        head: Flower's message.
        objects: content by id, which is a SHA-256 in hexadecimal.
    """
    parts = [len(head).to_bytes(_LENGTH), head]
    for name, content in objects.items():
        parts += (_ID + len(content)).to_bytes(_LENGTH), bytes.fromhex(name), content
    return b"".join(parts)


def unpack(body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Flower's message and the objects by id; whether the ids are right is not checked.

    Raises:
        ValueError: the body ends within a part, or a part is too short.
    """
    head, *objects = _parts(body)
    if any(len(part) < _ID for part in objects):
        raise ValueError("an object without an id")
    return bytes(head), {part[:_ID].hex(): bytes(part[_ID:]) for part in objects}


def _parts(body: bytes) -> list[memoryview]:
    rest, parts = memoryview(body), list[memoryview]()
    while rest or not parts:
        length = int.from_bytes(rest[:_LENGTH])
        part, rest = rest[_LENGTH : _LENGTH + length], rest[_LENGTH + length :]
        if len(part) < length or (not parts and len(body) < _LENGTH):
            raise ValueError("a part that does not end")
        parts.append(part)
    return parts
