"""Decode a JPEG or PNG; its parts are counted before a decoder opens it, and only its pixels are used."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermafed.client.clinic.intake.quality import Caution, assess
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.errors import ImageError
from dermafed.shared.imaging.decoding import decode_image

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000  # the largest a telephone makes; some 600 MB while it is decoded
MAX_SIDE = 20_000
MIN_SIDE = 32

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
MAX_SCANS = 100  # a progressive JPEG has some ten; every scan visits every pixel again
MAX_SEGMENTS = 2_000  # EXIF, profile, comments: a camera writes some twenty
MAX_CHUNKS = 100_000  # a PNG's pixels come in chunks of 8 kB or more

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither stuffing nor a restart
_SCAN, _END, _BARE = 0xDA, 0xD9, (0x01, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JFIF, _ADOBE, _LOSSLESS = 0xE0, 0xEE, 0xC3
_BITS = 8  # of a sample
_SAMPLE, _ONE_COLOUR = 256, 4  # rows and columns sampled; levels that a covered lens's noise stays under
_LARGE = 12_000_000  # pixels; larger ones are decoded one at a time, so that many at once do not fill memory
_one_large = threading.Lock()
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")
_AGAIN = "Save it again as an 8-bit RGB JPEG or PNG"


def read_picture(data: bytes) -> tuple[NDArray[np.uint8], tuple[Caution, ...]]:
    """Decode a JPEG or PNG.

    Orientation is applied; gray becomes three equal channels, 16-bit values keep their high byte, and what
    is transparent lies over white, as in training (``shared/imaging/decoding.py``). Of a file with several
    pictures, as telephones write, the first counts. What follows the picture's end is dropped.

    Returns:
        RGB uint8 (H, W, 3), upright, and what makes its diagnosis less sure.

    Raises:
        Refused: it cannot be used.
    """
    size = _read_size(data)
    check_size(*size)
    cautions = _check_header(data)
    with _one_large if size[0] * size[1] > _LARGE else nullcontext():
        try:
            pixels = decode_image(data)
        except ImageError:
            raise damaged() from None  # the error's text may repeat the file's
    return pixels, (*cautions, *check_usable(pixels))


def check_size(width: int, height: int) -> None:
    """Check the sides of a picture before a decoder opens it.

    Raises:
        Refused: it is too large or too small.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        what = f"The picture has over {MAX_PIXELS // 1_000_000} megapixels, or over {MAX_SIDE} pixels a side"
        raise Refused("too-many-pixels", what, where="image", remedy="Reduce it, or crop it")
    if min(width, height) < MIN_SIDE:
        what = f"The picture has a side under {MIN_SIDE} pixels"
        raise Refused("too-small", what, where="image", remedy="Send the original, not a thumbnail")


def check_usable(pixels: NDArray[np.uint8]) -> tuple[Caution, ...]:
    """Check that a picture shows something; return what makes its diagnosis less sure.

    Raises:
        Refused: it shows one colour and nothing else.
    """
    rows, columns = (-(-side // _SAMPLE) for side in pixels.shape[:2])
    sample = pixels[::rows, ::columns].reshape(-1, 3)
    if int(np.ptp(sample, axis=0).max()) < _ONE_COLOUR:
        what = "The picture shows one colour and nothing else"
        raise Refused("blank", what, where="image", remedy="Take it again; is the lens covered?")
    return assess(pixels)


def _read_size(data: bytes) -> tuple[int, int]:
    if not data:
        raise Refused("empty", "The image is empty", where="image", remedy="Send a JPEG or PNG file")
    if len(data) > MAX_BYTES:
        what = f"The image is larger than {MAX_BYTES >> 20} MiB"
        raise Refused("too-large", what, where="image", remedy="Send it as a JPEG")
    if data.startswith(JPEG):
        return read_jpeg_layout(data).size
    if data.startswith(PNG):
        return read_png_size(data)
    what = "Only JPEG, PNG and DICOM files are accepted"
    raise Refused("unsupported-type", what, where="image", remedy=_AGAIN)


def _check_header(data: bytes) -> tuple[Caution, ...]:
    try:
        with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
            size, mode, profile = image.size, image.mode, image.info.get("icc_profile", b"")
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except Exception:  # Pillow raises whatever it meets: OSError, SyntaxError, struct.error
        raise damaged() from None
    check_size(*size)  # a second header may contradict the first
    if mode not in _MODES:
        what = "The picture's colours are not gray or RGB"
        raise Refused("colour-mode", what, where="image", remedy=_AGAIN)
    if frames > 1:
        what = "The picture is an animation"
        raise Refused("several-frames", what, where="image", remedy="Send one picture at a time")
    return _profile_cautions(profile)


def _profile_cautions(profile: bytes) -> tuple[Caution, ...]:
    # As in training, values are taken as sRGB whatever the profile; its name stands in it as ASCII or UTF-16.
    if not profile or b"sRGB" in profile.replace(b"\0", b""):
        return ()
    text = "The picture has a colour profile other than sRGB; the model sees its colours a little shifted."
    return (Caution("profile", text),)


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """The layout of a JPEG, as its markers give it.

    Attributes:
        size: width and height, as stored.
        components: their number.
        colours: ``"RGB"`` or ``"YCbCr"`` where the file leaves no doubt which; else ``None``.
    """

    size: tuple[int, int]
    components: int
    colours: str | None


def read_jpeg_layout(data: bytes) -> JpegLayout:
    """Read a JPEG's markers up to its end.

    Raises:
        Refused: it has more scans or segments than a picture needs, no frame, or another depth.
    """
    by_source: dict[int, str | None] = {}
    frame, scans = b"", 0
    for kind, segment in _segments(data):
        if kind == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise too_many_parts(f"{MAX_SCANS} scans")
        elif scans == 0 and kind == _JFIF and segment.startswith(b"JFIF\0"):
            by_source[_JFIF] = "YCbCr"
        elif scans == 0 and kind == _ADOBE and segment.startswith(b"Adobe") and len(segment) >= 12:
            by_source[_ADOBE] = {0: "RGB", 1: "YCbCr"}.get(segment[11])
        elif kind in _FRAMES and not frame and len(segment) >= 6:
            frame, by_source[_SCAN] = segment, "RGB" if kind == _LOSSLESS else _colours(segment)
    if not frame:
        raise damaged()
    if frame[0] != _BITS:
        raise wrong_depth(f"The JPEG has {frame[0]} bits a sample, not {_BITS}")
    size = (int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3]))
    # libjpeg's order of precedence, so that this is what it decodes.
    colours = next((name for source in (_JFIF, _ADOBE, _SCAN) if (name := by_source.get(source))), None)
    return JpegLayout(size, frame[5], colours)


def read_png_size(data: bytes) -> tuple[int, int]:
    """Read a PNG's chunks up to its end.

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
    """The refusal of a file that would occupy a decoder for too long."""
    what = f"The file has more than {limit}"
    return Refused("too-many-parts", what, where="image", remedy="Save it again as a plain JPEG or PNG")


def wrong_depth(what: str) -> Refused:
    """The refusal of samples of too many bits."""
    return Refused("bit-depth", what, where="image", remedy="Export the picture with 8 bits a sample")


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
