"""How unlike the two halves of a lesion are, in shape and in colour, about two perpendicular axes.

Reference:
    Stolz et al., *ABCD rule of dermatoscopy*, European Journal of Dermatology 4 (1994): A, by two
    perpendicular axes that are placed so that the asymmetry is least; shape, colours and structures are
    compared. Structures are not compared here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesion_measures.border import principal_angle
from dermafed.shared.lesion_measures.patch import DIAMETER, Float, Patch, smooth

_SIDE = 80  # pixels of the diameter, at which halves are compared
_BLUR = 0.02  # of the diameter: hair and texture do not count
_AXES = 36  # directions that are tried, from the long principal axis on
_BLACK_TO_WHITE = 100.0  # of L*


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """The asymmetry of a lesion about the axis of least asymmetry, and about the one perpendicular to it.

    Attributes:
        shape: 1 - |M and M'| / |M| about each axis, of the lesion M and its mirror image M': the share of the
            lesion without a counterpart; 0 is symmetric.
        colour: the mean CIE 1976 colour difference of the pixels that have a counterpart to it, about each
            axis; 0 is symmetric, 100 would be black against white.
    """

    shape: tuple[float, float]
    colour: tuple[float, float]


def measure_asymmetry(patch: Patch) -> Asymmetry:
    """Measure the asymmetry of a lesion about two perpendicular axes through its centre of area.

    Of 36 axes, 5 degrees apart from the long principal axis on, the first is that of the least sum of the
    share in shape and the difference in colour as a share of black to white; the second is perpendicular to
    it. Where the best axis lies between two of them, up to 0.03 of a symmetric shape has no counterpart.
    """
    factor = _SIDE / DIAMETER
    lesion, lab = (
        np.asarray(cv2.resize(each, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.float32)
        for each in (patch.lesion, smooth(patch.lab, _BLUR * DIAMETER))
    )
    rows, columns = np.flatnonzero(lesion.any(1)), np.flatnonzero(lesion.any(0))
    inner = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # the skin does not count
    lesion, lab = lesion[inner], lab[inner]
    moments = cv2.moments(lesion)
    angles = principal_angle(moments) + np.pi / _AXES * np.arange(_AXES)
    found = np.array([_about(lesion, lab, moments, float(angle)) for angle in angles])
    first = int((found[:, 0] + found[:, 1] / _BLACK_TO_WHITE).argmin())
    second = (first + _AXES // 2) % _AXES
    (shape, colour), (other_shape, other_colour) = found[first].tolist(), found[second].tolist()
    return Asymmetry((shape, other_shape), (colour, other_colour))


def _about(lesion: Float, lab: Float, moments: dict[str, float], angle: float) -> tuple[float, float]:
    """The share without a counterpart, and the mean difference in colour, about one axis."""
    reflection = _reflection(moments["m10"] / moments["m00"], moments["m01"] / moments["m00"], angle)
    both = np.dstack([lesion, lab])
    mirrored = cv2.warpAffine(
        both, reflection, both.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    shared = np.minimum(lesion, mirrored[..., 0])
    difference = np.linalg.norm(lab - mirrored[..., 1:], axis=2)
    counted = float(shared.sum(dtype=np.float64))
    alone = max(0.0, 1 - counted / float(lesion.sum(dtype=np.float64)))
    return alone, float((difference * shared).sum(dtype=np.float64)) / max(counted, 1e-6)


def _reflection(x: float, y: float, angle: float) -> NDArray[np.float64]:
    """The reflection about an axis through a point, as an affine matrix (2, 3)."""
    cosine, sine = np.cos(2 * angle), np.sin(2 * angle)
    return np.array(
        [[cosine, sine, x - cosine * x - sine * y], [sine, -cosine, y - sine * x + cosine * y]], np.float64
    )
