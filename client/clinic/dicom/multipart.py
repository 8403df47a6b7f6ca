"""Read a body of type ``multipart/related`` (RFC 2387) while it arrives, within limits, and write one."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Sequence
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from dermafed.client.clinic.intake.refusals import Refused

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

DICOM = b"application/dicom"
MAX_PARTS = 64
_HEADERS = 4096  # bytes of a part's headers
_BOUNDARY = 70  # characters, RFC 2046


async def read_related(content_type: str, body: AsyncIterable[bytes], most: int) -> list[bytes]:
    """Read the DICOM files of a body.

    Args:
        content_type: content type of the request.
        body: the body, while it arrives.
        most: largest body in bytes.

    Raises:
        Refused: it is of another type (415), malformed or empty (400), or too large (413).
    """
    parts, size = _Parts(), 0
    parser = MultipartParser(_boundary(content_type), parts.callbacks())
    async for chunk in body:
        size += len(chunk)
        if size > most:
            raise Refused("too-large", "The request is too large", remedy="Send fewer objects at a time")
        try:
            parser.write(chunk)
        except MultipartParseError:
            raise _malformed() from None
    if not parts.ended or not parts.files:
        raise _malformed()
    return [bytes(file) for file in parts.files]


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind.lower() != b"multipart/related" or options.get(b"type", DICOM).lower() != DICOM:
        raise _unsupported()
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY:
        raise _malformed()
    return boundary


class _Parts:
    """Collects the contents of the parts, and checks their types."""

    def __init__(self) -> None:
        self.files: list[bytearray] = []
        self.ended = False
        self._name, self._value, self._headers = bytearray(), bytearray(), 0

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._header_value,
            "on_header_end": self._header,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.files) == MAX_PARTS:
            remedy = f"Send at most {MAX_PARTS} objects at a time"
            raise Refused("too-many-parts", "The request has too many parts", remedy=remedy, status=413)
        self.files.append(bytearray())
        self._headers = 0

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _header(self) -> None:
        if self._name.lower() == b"content-type" and parse_options_header(bytes(self._value))[0] != DICOM:
            raise _unsupported()
        self._name, self._value = bytearray(), bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.files[-1] += data[start:end]

    def _end(self) -> None:
        self.ended = True

    def _count(self, length: int) -> None:
        self._headers += length
        if self._headers > _HEADERS:
            raise _malformed()


def _malformed() -> Refused:
    what = "The body is not a complete multipart/related message with at least one part"
    return Refused("multipart-malformed", what, remedy="Send each object as a part of its own")


def _unsupported() -> Refused:
    what = "The type of the request is not accepted"
    remedy = 'Send multipart/related; type="application/dicom"'
    return Refused("unsupported-type", what, where="Content-Type", remedy=remedy)


def write_related(files: Sequence[bytes]) -> tuple[bytes, str]:
    """DICOM files as one HTTP body, as DICOMweb sends them (PS3.18, 8.6.1.2).

    Returns:
        The body, and its media type.
    """
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="application/dicom"; boundary={boundary}'
