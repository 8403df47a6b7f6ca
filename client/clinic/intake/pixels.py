"""Decode the pixels of a DICOM object, and check size and colours against its header."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.intake.image import (
    JPEG,
    check_size,
    check_usable,
    damaged,
    read_jpeg_layout,
    read_picture,
)
from dermafed.client.clinic.intake.quality import Caution
from dermafed.client.clinic.intake.refusals import Refused

_SAMPLE = 128  # rows and columns sampled
_ROUNDING = 6.0  # levels outside 0-255 that rounding alone explains
_SHARE = 0.01  # of pixels outside
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])  # JFIF, from Y, Cb-128, Cr-128

SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3}


@dataclass(frozen=True, slots=True)
class PixelHeader:
    """The header of the pixels (PS3.3, C.7.6.3).

    Attributes:
        rows, columns: the picture's sides.
        photometric: its colours.
        allocated, stored: bits of a sample.
        planar: whether each colour's plane stands by itself.
    """

    rows: int
    columns: int
    photometric: str
    allocated: int
    stored: int
    planar: bool


def decode_native(header: PixelHeader, data: memoryview) -> tuple[NDArray[np.uint8], tuple[Caution, ...]]:
    """Decode pixel data that are not compressed; 16-bit values keep the high byte of what is stored.

    Returns:
        RGB uint8 (H, W, 3), and what makes its diagnosis less sure.

    Raises:
        Refused: length, size or colours are not as the header says.
    """
    check_size(header.columns, header.rows)
    values = 2 if header.photometric == "YBR_FULL_422" else SAMPLES[header.photometric]
    length = header.rows * header.columns * values * header.allocated // 8
    if len(data) != length + length % 2 or (values == 2 and header.columns % 2):
        what = "The pixel data are not as long as the header says"
        raise Refused("pixel-length", what, where="image", remedy="Export the object again")
    samples = np.frombuffer(data, "<u2" if header.allocated == 16 else np.uint8)
    if header.allocated == 16:
        samples = (samples >> (header.stored - 8)).astype(np.uint8)
    pixels = _arrange(header, samples[: length * 8 // header.allocated].view(np.uint8))
    return pixels, check_usable(pixels)


def decode_jpeg(header: PixelHeader, data: bytes) -> tuple[NDArray[np.uint8], tuple[Caution, ...]]:
    """Decode a JPEG in pixel data: the same pixels as of the JPEG as a file, by the same decoder.

    Where the JPEG states its colours, they count, whatever the header says.

    Raises:
        Refused: it is not a JPEG, or its size or colours are not as the header says.
    """
    if not data.startswith(JPEG):
        raise damaged()
    layout = read_jpeg_layout(data)
    if layout.size != (header.columns, header.rows) or layout.components != SAMPLES[header.photometric]:
        what = "The compressed picture is not of the size or kind that the header says"
        raise Refused("header-mismatch", what, where="image", remedy="Export the object again")
    if header.photometric == "MONOCHROME1":
        raise wrong_colours()  # no camera writes it so, and the pixels must equal the JPEG's
    if header.photometric == "RGB" and layout.colours is None:
        raise wrong_colours()
    return read_picture(data)


def wrong_colours() -> Refused:
    """The refusal of colours that are unknown or contradict the header."""
    what = "The picture's colours contradict its photometric interpretation, or are not accepted"
    return Refused("photometric", what, where="image", remedy="Send RGB, YBR_FULL or MONOCHROME2")


def _arrange(header: PixelHeader, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Arrange the samples as RGB (H, W, 3)."""
    size = (header.rows, header.columns)
    if header.photometric.startswith("MONOCHROME"):
        gray = samples.reshape(size)
        return np.repeat((255 - gray if header.photometric == "MONOCHROME1" else gray)[..., None], 3, axis=2)
    if header.photometric == "YBR_FULL_422":  # Y Y Cb Cr of each two pixels
        pairs = samples.reshape(-1, 4)
        chroma = np.repeat(pairs[:, None, 2:], 2, axis=1)
        values = np.concatenate([pairs[:, :2, None], chroma], axis=2).reshape(*size, 3)
    elif header.planar:
        values = np.ascontiguousarray(samples.reshape(3, *size).transpose(1, 2, 0))
    else:
        values = samples.reshape(*size, 3)
    if header.photometric == "RGB":
        if is_probable_ybr(values):
            raise wrong_colours()
        return values.copy()
    if not is_possible_ybr(values):
        raise wrong_colours()
    return to_rgb(values)


def is_possible_ybr(values: NDArray[np.uint8]) -> bool:
    """Whether values (H, W, 3) can be YBR: of what was made from RGB, all lies inside RGB's cube.

    ``docs/bad-input.md`` says how often it is right.
    """
    sample = _sample(values)
    rgb = (sample - [0, 128, 128]) @ _TO_RGB.T
    return bool(((rgb < -_ROUNDING) | (rgb > 255 + _ROUNDING)).any(axis=1).mean() <= _SHARE)


def is_probable_ybr(values: NDArray[np.uint8]) -> bool:
    """Whether values (H, W, 3) are more like YBR than RGB: on skin, the chromas move little, and against each
    other, while green and blue move together.

    ``docs/bad-input.md`` says how often it is right.
    """
    sample = _sample(values)
    light, *chromas = sample.std(axis=0)
    if min(chromas) == 0 or max(chromas) >= light:
        return False
    return is_possible_ybr(values) and bool(np.corrcoef(sample[:, 1], sample[:, 2])[0, 1] < 0)


def to_rgb(ybr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Full-range YBR (H, W, 3), DICOM's YBR_FULL and JFIF's YCbCr, as RGB."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(ybr[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB), np.uint8)


def _sample(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = (-(-side // _SAMPLE) for side in values.shape[:2])
    return values[::rows, ::columns].reshape(-1, 3).astype(np.float64)
