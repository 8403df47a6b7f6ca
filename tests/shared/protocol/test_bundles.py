"""A body of several parts: byte by byte, and what is no such body."""

from __future__ import annotations

import pytest

from dermafed.shared.protocol.bundles import pack, unpack

FIRST, SECOND = "00" * 31 + "01", "ff" * 32


def test_the_bytes_of_a_body() -> None:
    body = pack(b"head", {FIRST: b"abc", SECOND: b""})
    assert body == (
        b"\0\0\0\x04head"
        + (b"\0\0\0\x23" + bytes(31) + b"\x01" + b"abc")  # 35 bytes: the id and three
        + (b"\0\0\0\x20" + b"\xff" * 32)
    )
    assert unpack(body) == (b"head", {FIRST: b"abc", SECOND: b""})


def test_a_body_of_a_head_alone_and_an_empty_head() -> None:
    assert unpack(pack(b"x", {})) == (b"x", {})
    assert unpack(b"\0\0\0\0") == (b"", {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\x05head",
        b"\0\0\0\x04head\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x04head\0\0\0\x1f" + bytes(31),
        b"\0\0\0\x04head\0\0\0\x20" + bytes(31),
        b"\0\0\0\x04head\0\0\0\0",
    ],
)
def test_what_ends_too_early_is_no_body(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"an id|does not end"):
        unpack(body)
