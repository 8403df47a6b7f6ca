"""Forms as HTTP clients write them: every part is its bytes."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from dermafed.client.clinic.http.upload import read_parts, split_parts
from dermafed.client.clinic.intake.refusals import Refused

IMAGE = bytes(range(256)) * 128  # 32 KiB of every byte, as no text has them
METADATA = '{"site": "Rücken"}'


def read(body: bytes, content_type: str = "multipart/form-data; boundary=x") -> dict[str, bytes]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    return asyncio.run(read_parts(Request({"type": "http", "method": "POST", "headers": headers}, receive)))


def part(content: bytes, disposition: str, *headers: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return b"--x\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n"


@pytest.mark.parametrize(
    "disposition",
    [
        'name="image"; filename="lesion.jpg"',
        'name="image"',  # curl -F 'image=<lesion.jpg'
        "name=image",  # .NET, without a file name
        "name=image; filename=lesion.jpg; filename*=utf-8''lesion.jpg",  # .NET
        "name=\"image\"; filename*=UTF-8''l%C3%A4sion.jpg",
        'name="image"; filename=""',
    ],
)
@pytest.mark.parametrize(
    "header", ["Content-Type: image/jpeg", "Content-Type: image/jpeg; charset=utf-8", "A: b"]
)
def test_an_image_is_the_bytes_of_its_part(disposition: str, header: str) -> None:
    body = part(IMAGE, disposition, header) + b"--x--\r\n"
    assert read(body) == {"image": IMAGE}
    assert read(body, "multipart/form-data; charset=iso-8859-1; boundary=x") == {"image": IMAGE}


@pytest.mark.parametrize(
    ("encoding", "header"),
    [
        ("utf-8", "A: b"),
        ("utf-8", "Content-Type: application/json"),
        ("utf-8", "Content-Type: text/plain; charset=UTF-8"),
        ("iso-8859-1", "Content-Type: text/plain; charset=ISO-8859-1"),  # Apache's HttpClient
        ("utf-16", 'Content-Type: application/json; charset="utf-16"'),
    ],
)
@pytest.mark.parametrize("disposition", ['name="metadata"', 'name="metadata"; filename="blob"'])
def test_metadata_are_text_in_the_charset_of_their_part(disposition: str, encoding: str, header: str) -> None:
    body = part(IMAGE, 'name="image"') + part(METADATA.encode(encoding), disposition, header) + b"--x--\r\n"
    _, clinical, _, _ = split_parts(read(body))
    assert clinical.site == "Rücken"


@pytest.mark.parametrize("charset", ["utf-8", "no-such", "hex"])
def test_metadata_that_are_not_in_their_charset_are_refused(charset: str) -> None:
    metadata = part(
        METADATA.encode("latin-1"), 'name="metadata"', f"Content-Type: text/plain; charset={charset}"
    )
    with pytest.raises(Refused) as caught:
        split_parts(read(part(IMAGE, 'name="image"') + metadata + b"--x--\r\n"))
    assert caught.value.code == "metadata-malformed"


def test_a_part_is_there_once_with_or_without_a_file_name() -> None:
    body = part(IMAGE, 'name="image"; filename="a"') + part(IMAGE, 'name="image"') + b"--x--\r\n"
    with pytest.raises(Refused) as caught:
        read(body)
    assert caught.value.code == "part-twice"


def test_the_scale_that_the_device_gives_is_read() -> None:
    metadata = part(b'{"age": 54, "mm_per_pixel": 0.02}', 'name="metadata"')
    body = part(IMAGE, 'name="image"') + metadata + b"--x--\r\n"
    assert split_parts(read(body))[3] == 0.02
    assert split_parts(read(part(IMAGE, 'name="image"') + b"--x--\r\n"))[3] is None
