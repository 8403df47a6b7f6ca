"""Where the square that the network sees, made by ``resize``, lies in its image."""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.shared.imaging.preprocess_settings import Fit


@dataclass(frozen=True, slots=True)
class View:
    """The part of a square that shows the image, and where that part lies in the image.

    Attributes:
        rows: of the square.
        columns: of the square.
        top: of the part in the image, pixels.
        left: likewise.
        scale: pixels of the image for a pixel of the square.
    """

    rows: slice
    columns: slice
    top: float
    left: float
    scale: float


def view_of(height: int, width: int, side: int, fit: Fit) -> View:
    """Where a square lies in its image.

    Args:
        height: of the image, pixels.
        width: likewise.
        side: of the square, pixels.
        fit: how the image was made square: of ``"crop"`` the whole square shows the middle of the image, of
            ``"pad"`` a part of the square shows the whole image.
    """
    if fit == "crop":
        shown = min(height, width)
        top, left = (height - shown) // 2, (width - shown) // 2
        return View(slice(0, side), slice(0, side), top, left, shown / side)
    factor = side / max(height, width)
    rows, columns = _middle(side, round(height * factor)), _middle(side, round(width * factor))
    return View(rows, columns, 0, 0, 1 / factor)


def _middle(side: int, length: int) -> slice:
    part = max(1, length)
    return slice((side - part) // 2, (side - part) // 2 + part)
