"""Decode a whole JPEG, or find its damage: decoders pass over libjpeg's warnings, and show what is wrong.

A scan has no checksum. Damage that is valid code of as many blocks cannot be found.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_SCAN, _LOSSLESS, _FILLING = 0xDA, 0xC3, 0xFF
_WITHOUT_PIXELS = (*range(0xE0, 0xF0), 0xFE)  # EXIF, profiles, comments


def decode_whole(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG in which libjpeg finds nothing to warn of.

    Args:
        data: the whole file.
        size: the width and height that its header states.

    Returns:
        RGB (H, W, 3); ``None`` where it may be damaged, or is of a kind that simplejpeg cannot decode.
    """
    with suppress(ValueError):
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", strict=True)
        return pixels if pixels.shape == (size[1], size[0], 3) else None
    return None


def jpeg_damage(data: bytes) -> str | None:
    """The first warning of libjpeg in the data of a JPEG, or ``None``.

    All its codes are read, but hardly a pixel is computed. Errors are left to the decoder. What stands in
    EXIF, profiles and comments, and what follows the end, does not matter.
    """
    bare, lossless = _without_metadata(data)
    try:
        _decode(bare, lossless, strict=True)
    except ValueError as warning:
        with suppress(ValueError):
            _decode(bare, lossless, strict=False)
            return str(warning)
    return None


def _decode(data: bytes, lossless: bool, *, strict: bool) -> None:
    if lossless:  # as it is, or not at all
        simplejpeg.decode_jpeg(data, "RGB", strict=strict)
    else:  # an eighth of the brightness
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=strict)


def _without_metadata(data: bytes) -> tuple[bytes, bool]:
    """The file without the segments that describe no pixel, and whether its scans are lossless."""
    parts, at, lossless = [data[:2]], 2, False
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        end = at + 1 if kind == _FILLING else at + 2 + length
        lossless |= kind == _LOSSLESS
        if kind not in _WITHOUT_PIXELS:
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at:]]), lossless
