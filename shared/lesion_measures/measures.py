"""All that is measured of a lesion with a known outline.

These are the parts A, B and C of the ABCD rule of dermatoscopy as far as a program can measure them. D, the
dermoscopic structures, is not measured: that needs images whose structures are labelled. Without D there is
no total score, and none of these numbers is a criterion for or against a diagnosis.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesion_measures.asymmetry import Asymmetry, measure_asymmetry
from dermafed.shared.lesion_measures.border import Border, measure_border
from dermafed.shared.lesion_measures.colours import measure_colours
from dermafed.shared.lesion_measures.patch import Mask, cut_patch
from dermafed.shared.lesion_measures.size import is_whole, largest_diameter
from dermafed.shared.lesion_measures.white_balance import shades_of_gray

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class LesionMeasures:
    """The measures of a lesion.

    Attributes:
        whole: whether the image shows all of it; if not, area and diameter are of the part in the image.
        area: as a share of the image's area.
        diameter: the largest, as a share of the image's longer side.
        area_mm2: square millimetres; ``None`` without a scale.
        diameter_mm: millimetres; ``None`` without a scale.
        asymmetry: ``None`` where it is not whole.
        border: where the lesion is not whole, its irregularity is that of the part in the image.
        colours: the share of the lesion of each of the six colours.
    """

    whole: bool
    area: float
    diameter: float
    area_mm2: float | None
    diameter_mm: float | None
    asymmetry: Asymmetry | None
    border: Border
    colours: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The measures as JSON types, rounded to four digits after the point."""
        return dict(_rounded(asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LesionMeasures:
        """The measures from :meth:`to_dict`."""
        halves = values["asymmetry"]
        asymmetry = None if halves is None else Asymmetry(tuple(halves["shape"]), tuple(halves["colour"]))
        return cls(**{**values, "asymmetry": asymmetry, "border": Border(**values["border"])})


def measure_lesion(
    outline: Mask, image: NDArray[np.uint8], mm_per_pixel: float | None = None
) -> LesionMeasures:
    """Measure a lesion; colours are those of the image after :func:`shades_of_gray`.

    Args:
        outline: the lesion, bool (H, W), with at least one pixel.
        image: sRGB as it was taken, not equalised, uint8 (H, W, 3).
        mm_per_pixel: the scale, if it is known.

    Raises:
        ValueError: the outline is empty, or not of the image's size.
    """
    if outline.shape != image.shape[:2] or not outline.any():
        raise ValueError(f"the outline {outline.shape} is empty, or not of the image's size {image.shape}")
    pixels, diameter, whole = int(outline.sum()), largest_diameter(outline), is_whole(outline)
    patch = cut_patch(outline, shades_of_gray(image))
    return LesionMeasures(
        whole=whole,
        area=pixels / outline.size,
        diameter=diameter / max(outline.shape),
        area_mm2=None if mm_per_pixel is None else pixels * mm_per_pixel**2,
        diameter_mm=None if mm_per_pixel is None else diameter * mm_per_pixel,
        asymmetry=measure_asymmetry(patch) if whole else None,
        border=measure_border(patch),
        colours=measure_colours(patch),
    )


def _rounded(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, tuple):
        return [_rounded(value) for value in values]
    return round(values, _DIGITS) if isinstance(values, float) else values
