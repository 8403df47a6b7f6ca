"""A JPEG or PNG from outside becomes pixels; nothing else of the file is kept."""

from __future__ import annotations

import hashlib
import threading
from contextlib import nullcontext
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.markers import JPEG, PNG, damaged, read_jpeg_layout, read_png_size
from dermafed.client.clinic.intake.quality import assess
from dermafed.client.clinic.intake.received import Caution, Received
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.errors import ImageError
from dermafed.shared.imaging.decoding import decode_image

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000  # the largest a telephone makes; some 600 MB while it is decoded
MAX_SIDE = 20_000
MIN_SIDE = 32

_SAMPLE, _ONE_COLOUR = 256, 4  # rows and columns looked at; levels that a covered lens's noise stays under
_LARGE = 12_000_000  # pixels; larger ones are decoded one at a time, so that many at once do not fill memory
_one_large = threading.Lock()
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")
_UNKNOWN = Clinical()
_AGAIN = "Save it again as an 8-bit RGB JPEG or PNG"


def receive_image(data: bytes, clinical: Clinical = _UNKNOWN) -> Received:
    """Takes in an image file.

    Orientation is applied; gray becomes three equal channels, 16-bit values keep their high byte, and what
    is transparent lies over white, as in training (:mod:`decoding`). Of a file with several pictures, as
    telephones write, the first counts. What follows the picture's end is dropped.

    Args:
        data: the whole file, a JPEG or PNG.
        clinical: what the sender told of the person.

    Raises:
        Refused: it cannot be used; ``docs/bad-input.md`` lists why.
    """
    pixels, cautions = read_picture(data)
    return Received(pixels, hashlib.sha256(data).hexdigest(), clinical, cautions)


def read_picture(data: bytes) -> tuple[NDArray[np.uint8], tuple[Caution, ...]]:
    """Decodes a JPEG or PNG from outside.

    Returns:
        RGB uint8 (H, W, 3), upright, and what makes its diagnosis less sure.

    Raises:
        Refused: it cannot be used.
    """
    size = _read_size(data)
    check_size(*size)
    cautions = _look_at_header(data)
    with _one_large if size[0] * size[1] > _LARGE else nullcontext():
        try:
            pixels = decode_image(data)
        except ImageError:
            raise damaged() from None  # the error's text may repeat the file's
    return pixels, (*cautions, *usable(pixels))


def check_size(width: int, height: int) -> None:
    """Refuses a picture by its sides alone, before a decoder opens it.

    Raises:
        Refused: it is too large or too small.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        what = f"The picture has over {MAX_PIXELS // 1_000_000} megapixels, or over {MAX_SIDE} pixels a side"
        raise Refused("too-many-pixels", what, where="image", remedy="Reduce it, or crop it")
    if min(width, height) < MIN_SIDE:
        what = f"The picture has a side under {MIN_SIDE} pixels"
        raise Refused("too-small", what, where="image", remedy="Send the original, not a thumbnail")


def usable(pixels: NDArray[np.uint8]) -> tuple[Caution, ...]:
    """What makes a picture's diagnosis less sure.

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
    what = "Only JPEG and PNG images are taken"
    raise Refused("unsupported-type", what, where="image", remedy=_AGAIN)


def _look_at_header(data: bytes) -> tuple[Caution, ...]:
    try:
        with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
            size, mode, profile = image.size, image.mode, image.info.get("icc_profile", b"")
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except Exception:  # Pillow raises whatever it meets: OSError, SyntaxError, struct.error
        raise damaged() from None
    check_size(*size)  # a second header may say otherwise than the first
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
