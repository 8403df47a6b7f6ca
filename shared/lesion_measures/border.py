"""The border of a lesion: how long it is for its area, and in how many eighths it ends abruptly.

References:
    Golston, Stoecker, Moss, Dhillon, *Automatic detection of irregular borders in melanoma and other skin
    tumors*, Computerized Medical Imaging and Graphics 16 (1992): the index of irregularity.
    Stolz et al., *ABCD rule of dermatoscopy*, European Journal of Dermatology 4 (1994): B, the number of
    eighths in which the pigment ends abruptly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesion_measures.patch import DIAMETER, Float, Patch, smooth

_SIGMA = 0.01  # of the diameter: detail of the border that is finer does not count
_GRAINS = 1.0  # nor does the staircase of the outline's own pixels
SEGMENTS = 8

_REACH = 0.15  # of the diameter: how far the border is looked at, to either side
_ABRUPT = 0.05  # of the diameter: the width in which an abrupt border makes at least half its step
_STEP = 5.0  # of L*: less is no border that one sees
_POINTS = 5  # at least, of a segment's border, and half of it, must lie in the image

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Border:
    """The border of a lesion.

    Attributes:
        irregularity: P^2 / (4 pi A) of perimeter P and area A: 1 for a disc, more for all else.
        abrupt: in how many eighths of the lesion the pigment ends abruptly.
        segments: how many eighths were looked at; fewer than 8 where the image ends.
    """

    irregularity: float
    abrupt: int
    segments: int


def measure_border(patch: Patch) -> Border:
    """Measure the border of a lesion.

    Abrupt is what the rule means by it as far as lightness tells: of the step of L* from inside to outside,
    at least half is made within a twentieth of the diameter of a disc of its area, wherever near the outline
    that is. Of an eighth the median of its points counts. The factors are our own: the rule gives none.
    """
    points, outward = _border_points(patch)
    steps, rises, seen = _profiles(patch, points, outward)
    eighths = _eighths(patch, points)
    abrupt = looked_at = 0
    for eighth in range(SEGMENTS):
        here = eighths == eighth
        valid = here & seen
        if valid.sum() < max(_POINTS, here.sum() / 2):
            continue
        looked_at += 1
        step = np.median(steps[valid])
        abrupt += bool(step >= _STEP and np.median(rises[valid]) >= step / 2)
    area = float(patch.lesion.sum())
    irregularity = perimeter(patch) ** 2 / (4 * np.pi * area)
    return Border(max(1.0, irregularity), int(abrupt), looked_at)


def perimeter(patch: Patch) -> float:
    """The length of the border in the patch's pixels: the total variation of the smoothed outline.

    By the coarea formula this is the mean length of its level lines; unlike the length of a chain of pixels,
    it does not depend on the direction of the border. Of a disc it is 2 pi r.
    """
    down, across = np.gradient(_smoothed(patch))
    return float(np.hypot(down, across).sum(dtype=np.float64))


def _smoothed(patch: Patch) -> Float:
    padded = np.pad(patch.lesion, 8)
    return smooth(padded, max(1.5, _SIGMA * DIAMETER, _GRAINS * patch.grain))


def _border_points(patch: Patch) -> tuple[Points, Points]:
    """Points (N, 2) of the border, x and y, and the unit vectors (N, 2) outward."""
    field = _smoothed(patch)[8:-8, 8:-8]
    lines, _ = cv2.findContours(
        (field > field.max() / 2).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    pixels = np.concatenate(lines)[:, 0]
    down, across = np.gradient(field)
    inward = np.stack([across, down], 2)[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    length = np.linalg.norm(inward, axis=1, keepdims=True)
    return pixels.astype(np.float64), -inward / np.maximum(length, 1e-6)


def _profiles(patch: Patch, points: Points, outward: Points) -> tuple[Points, Points, NDArray[np.bool_]]:
    """Across the border at each of N points: the step of L*, its steepest part, and what was seen."""
    reach, half = round(_REACH * DIAMETER), round(_ABRUPT * DIAMETER / 2)
    places = points[:, None] + np.arange(-reach, reach + 1)[None, :, None] * outward[:, None]
    x, y = places[..., 0].astype(np.float32), places[..., 1].astype(np.float32)
    lightness = smooth(patch.lab[..., 0], _SIGMA * DIAMETER)
    profile = cv2.remap(lightness, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.remap(patch.seen.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    third = profile.shape[1] // 3
    step = profile[:, -third:].mean(1) - profile[:, :third].mean(1)
    rise = (profile[:, 2 * half :] - profile[:, : -2 * half]).max(1)
    return step.astype(np.float64), rise.astype(np.float64), seen.min(1) > 0.5


def _eighths(patch: Patch, points: Points) -> NDArray[np.int64]:
    """The eighth that each point lies in, from the long axis of the lesion on, about its centre."""
    moments = cv2.moments(patch.lesion)
    centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    long_axis = principal_angle(moments)
    angle = np.arctan2(*(points - centre).T[::-1]) - long_axis
    return np.asarray(np.floor(angle / (2 * np.pi / SEGMENTS)).astype(np.int64) % SEGMENTS)


def principal_angle(moments: dict[str, float]) -> float:
    """The direction of the long principal axis of OpenCV's moments, radians from x to y."""
    return 0.5 * float(np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]))
