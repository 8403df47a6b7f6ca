"""An encoder of lossless JPEG (ITU T.81, annex H), since no library here has one."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_CATEGORIES = 16  # of differences, each with a code of five bits


def lossless_jpeg(image: NDArray[np.uint8]) -> bytes:
    """RGB (H, W, 3), each pixel predicted by its left neighbour, the first of a row by the one above."""
    height, width = image.shape[:2]
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3))
    table = bytes([0, 0, 0, 0, 0, _CATEGORIES, *[0] * 11]) + bytes(range(_CATEGORIES))
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 1, 0, 0])
    parts = [(0xC3, frame), (0xC4, table), (0xDA, scan)]
    segments = [struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body for kind, body in parts]
    return b"\xff\xd8" + b"".join(segments) + _coded(image.astype(int)) + b"\xff\xd9"


def _coded(values: NDArray[np.int_]) -> bytes:
    guess = np.empty_like(values)
    guess[:, 1:], guess[1:, 0], guess[0, 0] = values[:, :-1], values[:-1, 0], 128
    bits = "".join(map(_bits, (values - guess).ravel().tolist()))
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")


def _bits(difference: int) -> str:
    length = abs(difference).bit_length()
    low = difference if difference > 0 else difference + (1 << length) - 1
    return f"{length:05b}" + (f"{low:0{length}b}" if length else "")
