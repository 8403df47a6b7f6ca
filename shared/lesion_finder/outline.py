"""The lesion's outline, from how much of each cell is lesion and from the image's own colours.

A cell is 8 x 8 pixels, too coarse for an outline. Within the image, lesion and skin differ in colour; so the
cells, enlarged, are corrected by Fisher's linear discriminant (Fisher 1936) of each pixel's colour, lesion
against skin as the cells tell them apart. Then a threshold, the largest region, and its holes filled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

THRESHOLD = 0.45
"""A pixel is lesion above it. This and the next two were chosen on validation images of HAM10000."""

SUREST = 0.7
"""Where no cell reaches it, there is no lesion: each of these images has such a cell, plain skin seldom."""

COLOUR_WEIGHT = 0.4
"""How much the colour counts: a pixel of the lesion's mean colour gains up to half of it, one of the skin's
loses so much."""

_RIDGE = 1e-4  # of the colours' variances, in units of their range
_SMOOTHING = 1.5  # pixels, the Gaussian's sigma: hair and noise are not the lesion's colour
_MOST_COLOUR = 0.7
_FEWEST_PIXELS = 50

SMALLEST = 0.005
"""A smaller share of the image is no lesion: half of the smallest in 900 masks of HAM10000."""

LARGEST = 0.95
"""Beyond this share of the image there is no outline to see; 5 of these 900 lesions are so large."""

OTHERS = 0.1
"""Another region counts as a lesion from this share of the largest one's area."""


class Nothing(StrEnum):
    """Why no lesion was found, in words for people."""

    NO_CELL = "no part of the image looks like a lesion"
    SMALL = "what looks like a lesion covers less than 0.5 % of the image"
    EVERYTHING = "what looks like a lesion covers nearly all of the image"


@dataclass(frozen=True, slots=True, eq=False)
class LesionOutline:
    """Where the lesion is, or why none was found.

    Attributes:
        region: bool (S, S), true on the lesion: one region without holes; false everywhere if none was found.
        nothing: why none was found; ``None`` if one was.
        lesions: how many regions look like a lesion; `region` is the largest.
    """

    region: Mask
    nothing: Nothing | None
    lesions: int

    @property
    def found(self) -> bool:
        """Whether a lesion was found."""
        return self.nothing is None


def outline(shares: Floats, image: NDArray[np.uint8]) -> LesionOutline:
    """Outline the lesion of an image.

    Args:
        shares: how much of each cell is lesion, float32 (G, G), by
            :meth:`dermafed.shared.lesion_finder.finder.LesionFinder.find`.
        image: the preprocessed image, uint8 (S, S, 3).

    Returns:
        The outline in the image's pixels; none where no cell is surely lesion, or the region is too
        small for a lesion, or too large for an outline.
    """
    if shares.max() < SUREST:
        return _none(image, Nothing.NO_CELL)
    areas, regions = _regions(pixel_shares(shares, image) > THRESHOLD)
    if not areas.size or areas.max() < SMALLEST * regions.size:
        return _none(image, Nothing.SMALL)
    region = _filled(regions == 1 + areas.argmax())
    if region.mean() > LARGEST:
        return _none(image, Nothing.EVERYTHING)
    lesions = areas >= max(OTHERS * areas.max(), SMALLEST * regions.size)
    return LesionOutline(region, None, int(lesions.sum()))


def pixel_shares(shares: Floats, image: NDArray[np.uint8]) -> Floats:
    """How much each pixel looks like lesion: the cells, bicubic, and the discriminant of the colours.

    Args:
        shares: float32 (G, G).
        image: uint8 (S, S, 3).

    Returns:
        float32 (S, S), about 0 to 1.
    """
    large = cv2.resize(shares, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), (0, 0), _SMOOTHING)
    colours = lab.reshape(-1, 3).astype(np.float64) / 255
    along = _discriminant(colours, np.asarray(large, np.float32).ravel())
    return np.asarray(large + COLOUR_WEIGHT * along.reshape(large.shape), np.float32)


def _discriminant(colours: NDArray[np.float64], shares: Floats) -> Floats:
    """Fisher's discriminant of colours (P, 3), bounded, (P,).

    The further a pixel's share is from the threshold, the more the pixel counts, for lesion or for skin. With
    d the Mahalanobis distance of their mean colours, it is q / 2 at the lesion's mean and -q / 2 at the
    skin's, q = d^2 / (1 + d^2): near 0 where the colours do not differ.
    """
    surest = 0.5  # from here on all pixels count the same
    lesion = np.clip((shares - THRESHOLD) / surest, 0, 1)
    skin = np.clip((THRESHOLD - shares) / surest, 0, 1)
    if min(lesion.sum(), skin.sum()) < _FEWEST_PIXELS:
        return np.zeros_like(shares)
    inside, outside = (np.average(colours, axis=0, weights=side) for side in (lesion, skin))
    scatter = sum(
        ((colours - mean).T * side) @ (colours - mean) for mean, side in ((inside, lesion), (outside, skin))
    )
    within = scatter / (lesion.sum() + skin.sum()) + _RIDGE * np.eye(3)
    direction = np.linalg.solve(within, inside - outside)
    along = (colours - (inside + outside) / 2) @ direction / (1 + direction @ (inside - outside))
    return np.clip(along, -_MOST_COLOUR, _MOST_COLOUR).astype(np.float32)


def _regions(lesion: Mask) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The areas in pixels of the connected regions (R,), and their numbers from 1 on, (S, S)."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(lesion.astype(np.uint8))
    return stats[1:, cv2.CC_STAT_AREA].astype(np.int64), np.asarray(numbers, np.int32)


def _filled(region: Mask) -> Mask:
    """The region with its holes."""
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(region.shape, np.uint8), contours, -1, 1, cv2.FILLED).astype(np.bool_)


def _none(image: NDArray[np.uint8], why: Nothing) -> LesionOutline:
    return LesionOutline(np.zeros(image.shape[:2], np.bool_), why, 0)
