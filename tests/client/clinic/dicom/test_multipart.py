"""What comes apart is what was put together, and nothing that comes makes it fail in another way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.client.clinic.dicom.multipart import MAX_PARTS, read_related, write_related
from dermafed.client.clinic.intake.refusals import Refused

TYPE = 'multipart/related; type="application/dicom"; boundary=frontier'


def read(content_type: str, body: bytes, size: int = 7, most: int = 2**20) -> list[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    return asyncio.run(read_related(content_type, chunks(), most))


def refusal(content_type: str, body: bytes, most: int = 2**20) -> int:
    with pytest.raises(Refused) as caught:
        read(content_type, body, most=most)
    return caught.value.status


def part(content: bytes, head: bytes = b"Content-Type: application/dicom") -> bytes:
    return b"--frontier\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


END = b"--frontier--\r\n"


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(1, 64))
def test_files_are_split_as_they_were_sent(files: list[bytes], size: int) -> None:
    body, content_type = write_related(files)
    assert read(content_type, body, size) == files


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"\r\n--frontie", b"--frontier", b"\r", b"\n--frontier\n", b"\r\n--\r\n" * 9]
)
def test_what_resembles_a_boundary_is_content(content: bytes) -> None:
    for size in (1, 2, 3, 1000):
        assert read(TYPE, part(content) + part(b"x") + END, size) == [content, b"x"]


def test_parts_without_headers_and_with_others_are_accepted() -> None:
    body = b"--frontier\r\n\r\nabc\r\n" + part(
        b"d", b"content-TYPE: application/dicom;transfer-syntax=*\r\nX: y"
    )
    assert read(TYPE, body + END) == [b"abc", b"d"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("application/dicom", 415),
        ("multipart/form-data; boundary=frontier", 415),
        ('multipart/related; type="application/dicom+json"; boundary=frontier', 415),
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary=""', 400),
        (f'multipart/related; type="application/dicom"; boundary={"f" * 71}', 400),
    ],
)
def test_other_types_are_refused(content_type: str, status: int) -> None:
    assert refusal(content_type, part(b"x") + END) == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (END, 400),
        (part(b"x"), 400),
        (b"hello\r\n" + part(b"x") + END, 400),
        (b"--frontier\r\nno header\r\n\r\nx\r\n" + END, 400),
        (part(b"x", b"Content-Type: text/plain") + END, 415),
        (part(b"x", b"X: " + b"y" * 5000) + END, 400),
        (part(b"x") * (MAX_PARTS + 1) + END, 413),
        (part(b"x" * 2**20) + END, 413),
    ],
)
def test_malformed_bodies_are_refused(body: bytes, status: int) -> None:
    assert refusal(TYPE, body) == status


FRAGMENTS = st.sampled_from(
    [b"--frontier", b"--frontier--", b"\r\n", b"\r\n\r\n", b"--", b"\n", b"\r", b":", b"Content-Type: ",
     b"application/dicom", b"frontier", b"\0", b"x"]
)  # fmt: skip


def read_or_refused(content_type: str, body: bytes, size: int = 7) -> list[bytes] | int:
    try:
        return read(content_type, body, size)
    except Refused as refused:
        return refused.status


@settings(max_examples=500)
@given(st.lists(FRAGMENTS | st.binary(max_size=8), max_size=24).map(b"".join), st.integers(1, 40))
def test_any_body_is_read_or_refused_however_it_is_cut(body: bytes, size: int) -> None:
    outcome = read_or_refused(TYPE, body, size)
    assert outcome == read_or_refused(TYPE, body, 1)
    assert outcome in (400, 413, 415) or isinstance(outcome, list)


@settings(max_examples=300)
@given(
    st.sampled_from(["", "multipart/related", "multipart/related;"]),
    st.lists(
        st.sampled_from(["boundary", "type", "=", '"', ";", "*", "*0*=", "utf-8''%ff", "\\", "frontier"])
        | st.text(st.characters(max_codepoint=255), max_size=8),
        max_size=12,
    ).map("".join),
)
def test_any_content_type_is_read_or_refused(kind: str, options: str) -> None:
    outcome = read_or_refused(kind + options, part(b"x") + END)
    assert outcome in (400, 415, [b"x"])
