"""Small pictures in named rows, as one image."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_SIDE, _NAMES = 64, 180  # pixels


def picture_rows(rows: Mapping[str, NDArray[np.float64]]) -> bytes:
    """A WebP image with a row of pictures below each other for each name.

    Args:
        rows: float64 (N, S, S, 3) in [0, 1] each, by name.
    """
    wide = max(len(pictures) for pictures in rows.values())
    sheet = Image.new("RGB", (_NAMES + _SIDE * wide, _SIDE * len(rows)), "white")
    for number, (name, pictures) in enumerate(rows.items()):
        top = number * _SIDE
        ImageDraw.Draw(sheet).text((8, top + _SIDE // 2 - 6), name, fill="black")
        for column, picture in enumerate(pictures):
            image = Image.fromarray((picture * 255).round().astype(np.uint8))
            sheet.paste(
                image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST), (_NAMES + column * _SIDE, top)
            )
    content = io.BytesIO()
    sheet.save(content, "WEBP", lossless=True)
    return content.getvalue()
