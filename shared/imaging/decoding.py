"""Decode image files: the only decoder of DermaFed, so that training and serving get the same pixels.

Pillow opens every file: unlike OpenCV it distinguishes colour modes and refuses truncated files. It decodes
all but the usual JPEGs in colour: of these, simplejpeg makes the same pixels (libjpeg's accurate DCT), and
Pillow takes twice as long to hand its own over as to decode them. Pillow's silent errors (16-bit gray becomes
white, CMYK is converted without its profile, a damaged JPEG is shown) are refused or corrected here. Colour
profiles are not applied: the values are taken as sRGB.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from dermafed.shared.errors import ImageError
from dermafed.shared.imaging.jpeg_damage import decode_whole, jpeg_damage

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
MAX_PIXELS = 80_000_000  # 240 MB as RGB; just below where Pillow itself begins to warn
MAX_BYTES = 256 * 2**20

# Pillow gives an image's memory back at once; getting it anew, page by page, took as long as decoding.
Image.core.set_blocks_max(4)  # type: ignore[attr-defined]  # of 16 MiB each, for all threads together

# How cameras ask for their pictures to be turned, by EXIF's orientation; mirrored ones are left to Pillow.
_TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}

_RESAVE = "Save it again as an 8-bit RGB JPEG or PNG"
_REPLACE = "Copy the file again from its source, or leave it out"


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, TIFF, WebP or BMP file.

    Args:
        path: the file.

    Returns:
        RGB image (H, W, 3), uint8 in 0-255, upright (EXIF orientation applied).

    Raises:
        ImageError: the file is missing, unreadable, empty, truncated, too large, not an image, or in a
            colour mode without a faithful RGB form.
    """
    return decode_image(read_bytes(path), where=path)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a lesion mask, white on the lesion.

    Returns:
        bool (H, W).

    Raises:
        ImageError: as :func:`read_image`.
    """
    return np.asarray(read_image(path)[..., 0] > 127)


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of an image file, once upright; only its header is decoded.

    Raises:
        ImageError: the file is missing or not an image.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except Exception as error:  # Pillow's decoders raise errors of many types
        raise ImageError("This is not an image that can be read", where=path, remedy=_RESAVE) from error
    return (height, width) if turned else (width, height)


def decode_image(data: bytes, *, where: object = "") -> NDArray[np.uint8]:
    """Decode the bytes of an image file.

    Gray becomes three equal channels, 16-bit values are cut to their high byte, and transparent pixels are
    put on white, as a viewer shows them.

    Args:
        data: the whole file.
        where: name of the image in an error.

    Returns:
        RGB image (H, W, 3), uint8 in 0-255, upright.

    Raises:
        ImageError: see :func:`read_image`.
    """
    if not data:
        raise ImageError("The image file is empty", where=where, remedy=_REPLACE)
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _refuse_bomb(image.size, where)
            if (pixels := _colour_jpeg(image, data)) is not None:
                return pixels
            _refuse_damaged_scan(image, data, where)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image, where)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("This is not an image that can be read", where=where, remedy=_RESAVE) from error
    except Image.DecompressionBombError as error:
        raise ImageError("The image has too many pixels", where=where, remedy=_too_large()) from error
    except Exception as error:  # Pillow's decoders raise errors of many types
        what = f"The image is damaged or truncated: {error}"
        raise ImageError(what, where=where, remedy=_REPLACE) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole image file, at most ``MAX_BYTES``.

    Raises:
        ImageError: it is missing, not a regular file, unreadable, or too large.
    """
    try:
        if not path.is_file():  # opening a named pipe would block
            raise ImageError("There is no such image file", where=path, remedy="Check the path")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(f"The file is larger than {MAX_BYTES >> 20} MiB", where=path, remedy=_RESAVE)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        what = f"The image file cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ImageError(what, where=path, remedy="Check the path and your permission to read it") from error


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits.

    Raises:
        ImageError: see :func:`read_bytes`.
    """
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _colour_jpeg(image: Image.Image, data: bytes) -> NDArray[np.uint8] | None:
    """The pixels of an opened JPEG in colour, upright; ``None`` where Pillow has to decode it."""
    if image.format != "JPEG" or image.mode != "RGB":
        return None
    turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    pixels = decode_whole(data, image.size) if turn in (1, *_TURNS) else None
    if pixels is None or turn == 1:
        return pixels
    return np.asarray(cv2.rotate(pixels, _TURNS[turn]), np.uint8)


def _refuse_damaged_scan(image: Image.Image, data: bytes, where: object) -> None:
    damage = jpeg_damage(data) if image.format in ("JPEG", "MPO") else None
    if damage is not None:
        raise ImageError(f"The image is damaged or truncated: {damage}", where=where, remedy=_REPLACE)


def _refuse_bomb(size: tuple[int, int], where: object) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"The image has {width} x {height} pixels", where=where, remedy=_too_large())


def _too_large() -> str:
    return f"At most {MAX_PIXELS // 1_000_000} megapixels are read: reduce it first"


def _to_rgb(image: Image.Image, where: object) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        gray = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    if image.mode in ("CMYK", "LAB", "HSV", "I", "F"):
        what = f"Images in colour mode {image.mode} cannot be turned into RGB faithfully"
        raise ImageError(what, where=where, remedy=_RESAVE)
    if image.has_transparency_data:
        above = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), above)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # a large copy saved
