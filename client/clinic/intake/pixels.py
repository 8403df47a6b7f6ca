"""The pixels of a DICOM object, checked against its header."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.intake.colours import is_possible_ybr, is_probable_ybr, to_rgb
from dermafed.client.clinic.intake.image import check_size, read_picture, usable
from dermafed.client.clinic.intake.markers import JPEG, damaged, read_jpeg_layout
from dermafed.client.clinic.intake.received import Caution
from dermafed.client.clinic.intake.refusals import Refused

SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3}


@dataclass(frozen=True, slots=True)
class PixelHeader:
    """What a DICOM header says of its pixels (PS3.3, C.7.6.3).

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
    """The picture of pixel data that are not compressed; 16-bit values keep the high byte of what is stored.

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
    return pixels, usable(pixels)


def decode_jpeg(header: PixelHeader, data: bytes) -> tuple[NDArray[np.uint8], tuple[Caution, ...]]:
    """The picture of a JPEG in pixel data: the same pixels as of the JPEG as a file, by the same decoder.

    Where the JPEG leaves no doubt of its colours, they count, whatever the header says.

    Raises:
        Refused: it is no JPEG, or its size or colours are not as the header says.
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
    """The refusal of colours that cannot be told."""
    what = "The picture's colours are not what its photometric interpretation says, or of no kind taken"
    return Refused("photometric", what, where="image", remedy="Send RGB, YBR_FULL or MONOCHROME2")


def _arrange(header: PixelHeader, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of the samples as they stand."""
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
