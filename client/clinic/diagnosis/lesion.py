"""Where the lesion is in an image, and what was measured of it, as data and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.preprocess_settings import Fit
from dermafed.shared.imaging.resize import resize
from dermafed.shared.imaging.view import View, view_of
from dermafed.shared.lesion_finder.outline import LesionOutline
from dermafed.shared.lesion_measures.measures import LesionMeasures, measure_lesion

_FINER = 4  # points of the outline for a pixel
_BLUR = 1.0  # pixels: the staircase of the pixels goes, no detail does
_DEVIATION = 0.25  # pixels that the polygon may be off
_DIGITS = 4
_MARGIN_ONLY = "what looks like a lesion lies in the margin around the image"

Mask = NDArray[np.bool_]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Lesion:
    """What a finder says of an image.

    Attributes:
        reason: why none was found, in words; ``None`` if one was.
        lesions: how many regions look like a lesion; the outline is that of the largest.
        outline: the corners of a polygon, x and y, as shares of the image's width and height; none if no
            lesion was found.
        measures: of the lesion, in what the model saw of the image; ``None`` if no lesion was found.
    """

    reason: str | None
    lesions: int = 0
    outline: tuple[Point, ...] = ()
    measures: LesionMeasures | None = None

    def to_dict(self) -> dict[str, Any]:
        """The lesion as JSON types."""
        if self.measures is None:
            return {"found": False, "reason": self.reason}
        corners = list(map(list, self.outline))
        return {"found": True, "lesions": self.lesions, "outline": corners, **self.measures.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Lesion:
        """The lesion from :meth:`to_dict`."""
        if not values["found"]:
            return cls(values["reason"])
        own = ("found", "lesions", "outline")
        measures = LesionMeasures.from_dict({key: each for key, each in values.items() if key not in own})
        return cls(None, values["lesions"], tuple((x, y) for x, y in values["outline"]), measures)

    def mask(self, height: int, width: int) -> Mask:
        """The lesion in its image of this size, bool (H, W)."""
        filled, bits = np.zeros((height, width), np.uint8), 8
        if self.outline:
            corners = np.array(self.outline) * (width, height) - 0.5
            cv2.fillPoly(filled, [np.rint(corners * 2**bits).astype(np.int32)], 1, shift=bits)
        return filled.astype(bool)


def describe_lesion(
    found: LesionOutline, image: NDArray[np.uint8], fit: Fit, mm_per_pixel: float | None = None
) -> Lesion:
    """Bring an outline from the square that the network saw into its image, and measure it there.

    Colours are the image's own, not those of the network's input, whose contrast may be equalised.

    Args:
        found: in the square.
        image: RGB uint8 (H, W, 3), as it came.
        fit: how it was made square for the model.
        mm_per_pixel: of the image, if it is known.
    """
    if found.nothing is not None:
        return Lesion(str(found.nothing))
    (height, width), side = image.shape[:2], len(found.region)
    view = view_of(height, width, side, fit)
    shown = found.region[view.rows, view.columns]
    if not shown.any():
        return Lesion(_MARGIN_ONLY)
    pixels = resize(image, side, fit)[view.rows, view.columns]
    scale = None if mm_per_pixel is None else mm_per_pixel * view.scale
    corners, measures = _polygon(shown, view, height, width), measure_lesion(shown, pixels, scale)
    # Rounded, as it is stored.
    return Lesion.from_dict(Lesion(None, found.lesions, corners, measures).to_dict())


def _polygon(shown: Mask, view: View, height: int, width: int) -> tuple[Point, ...]:
    """The smoothed border of the largest part."""
    soft = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), _BLUR)
    fine = cv2.resize(soft, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_LINEAR)
    lines, _ = cv2.findContours(
        (fine >= fine.max() / 2).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    line = cv2.approxPolyDP(max(lines, key=len), _DEVIATION * _FINER, closed=True)[:, 0]
    places = ((line + 0.5) / _FINER * view.scale + (view.left, view.top)) / (width, height)
    return tuple((x, y) for x, y in np.clip(places, 0, 1).round(_DIGITS).tolist())
