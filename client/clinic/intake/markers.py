"""The parts of an image file, counted without decoding it: a decoder must not be the first to look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dermafed.client.clinic.intake.refusals import Refused

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
MAX_SCANS = 100  # a progressive JPEG has some ten; every scan visits every pixel again
MAX_SEGMENTS = 2_000  # EXIF, profile, comments: a camera writes some twenty
MAX_CHUNKS = 100_000  # a PNG's pixels come in chunks of 8 kB or more

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither stuffing nor a restart
_SCAN, _END, _BARE = 0xDA, 0xD9, (0x01, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JFIF, _ADOBE, _LOSSLESS = 0xE0, 0xEE, 0xC3


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """What a JPEG says of itself.

    Attributes:
        size: width and height, as stored.
        components: their number.
        colours: ``"RGB"`` or ``"YCbCr"`` where the file leaves no doubt which; else ``None``.
    """

    size: tuple[int, int]
    components: int
    colours: str | None


def read_jpeg_layout(data: bytes) -> JpegLayout:
    """Walks a JPEG's markers to its end.

    Raises:
        Refused: it has more scans or segments than a picture needs, or no frame.
    """
    said: dict[int, str | None] = {}
    frame, scans = b"", 0
    for kind, segment in _segments(data):
        if kind == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise too_many_parts(f"{MAX_SCANS} scans")
        elif scans == 0 and kind == _JFIF and segment.startswith(b"JFIF\0"):
            said[_JFIF] = "YCbCr"
        elif scans == 0 and kind == _ADOBE and segment.startswith(b"Adobe") and len(segment) >= 12:
            said[_ADOBE] = {0: "RGB", 1: "YCbCr"}.get(segment[11])
        elif kind in _FRAMES and not frame and len(segment) >= 6:
            frame, said[_SCAN] = segment, "RGB" if kind == _LOSSLESS else _colours(segment)
    if not frame:
        raise damaged()
    size = (int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3]))
    # libjpeg's order of belief, so that what is said here is what it decodes.
    colours = next((word for source in (_JFIF, _ADOBE, _SCAN) if (word := said.get(source))), None)
    return JpegLayout(size, frame[5], colours)


def read_png_size(data: bytes) -> tuple[int, int]:
    """Walks a PNG's chunks to its end.

    Returns:
        Width and height.

    Raises:
        Refused: it has more chunks than a picture needs, or no header.
    """
    at = len(PNG)
    if data[at + 4 : at + 8] != b"IHDR":
        raise damaged()
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data) or data[at + 4 : at + 8] == b"IEND":
            return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        at += 12 + int.from_bytes(data[at : at + 4])
    raise too_many_parts(f"{MAX_CHUNKS} chunks")


def too_many_parts(limit: str) -> Refused:
    """The refusal of a file that would keep a decoder busy."""
    what = f"The file has more than {limit}"
    return Refused("too-many-parts", what, where="image", remedy="Save it again as a plain JPEG or PNG")


def damaged() -> Refused:
    """The refusal of a file that cannot be decoded."""
    what = "The picture is damaged or incomplete"
    return Refused("damaged", what, where="image", remedy="Send it again from its source")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None or found[1][0] == _END:
            return
        at, kind = found.end(), found[1][0]
        if kind not in _BARE:
            length = int.from_bytes(data[at : at + 2])
            yield kind, data[at + 2 : at + length]
            at += max(length, 2)
    raise too_many_parts(f"{MAX_SEGMENTS} segments")


def _colours(frame: bytes) -> str | None:
    parts = [frame[at : at + 3] for at in range(6, 6 + 3 * frame[5], 3)]
    if [part[:1] for part in parts] == [b"R", b"G", b"B"]:
        return "RGB"
    return "YCbCr" if len({part[1:2] for part in parts}) > 1 else None  # nobody stores red finer than green
