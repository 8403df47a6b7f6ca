"""Skin tone from a dermoscopic image: the individual typology angle of the skin around the lesion.

ITA = atan2(L* - 50, b*) in degrees (Chardon et al. 1991), of pixels outside the lesion as by Kinyanjui
et al. (2020). It was made for a colorimeter. Images are lit and balanced by cameras that nobody calibrated,
so an angle depends on the camera as well as on the skin, and methods disagree (Kalb et al. 2023,
arXiv:2308.09640): see docs/fairness.md.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TONES = {"dark": -30, "brown": 10, "tan": 28, "intermediate": 41, "light": 55, "very light": 181}
"""The classes of Chardon et al. 1991 and Del Bino et al. 2006, each with the angle it ends below."""

THIRDS = ("darkest third", "middle third", "lightest third")

_SIDE = 224  # pixels, of the longer side: skin is smooth, and originals have millions of pixels
_BLACK = 15  # L*, below: what lies outside the dermatoscope's round field of view, and hairs
_MARGIN = 0.05  # of the side: masks end where the lesion's halo begins
_CENTRE = 0.85  # of half the side: without a mask, the lesion is taken to lie within this circle
_FEWEST = 0.01  # of all pixels: of fewer, no angle is given


def typology_angle(image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> float | None:
    """The individual typology angle of the skin in a dermoscopic image.

    The mean L* and b* of the pixels within a standard deviation of their medians (hairs, glare and marks are
    not). ``atan2``, since the arctangent of the quotient turns the fairest skin into the darkest where a
    camera's bluish light makes b* negative.

    Args:
        image: RGB uint8 (H, W, 3), as the camera took it, sRGB.
        mask: where the lesion is, bool, of the same view in any size; without one, skin is what lies near
            the image's edge and is lighter than Otsu's threshold (1979).

    Returns:
        Degrees from -180 to 180, higher for lighter skin; ``None`` where hardly any skin is seen.
    """
    small = _shrunk(image)
    lab = np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    lightness, yellow = lab[..., 0], lab[..., 2]
    around = _near_the_edge(lightness) if mask is None else _clear_of_lesion(mask, lightness.shape)
    skin = around & (lightness >= _BLACK)
    if skin.sum() < _FEWEST * skin.size:
        return None
    usual = _is_usual(lightness[skin]) & _is_usual(yellow[skin])
    height, blue_to_yellow = lightness[skin][usual].mean() - 50, yellow[skin][usual].mean()
    return float(np.degrees(np.arctan2(height, blue_to_yellow)))


def tone(angle: float) -> str:
    """The class of TONES that an angle lies in.

    Example:
        Above 55 degrees skin is very light, from -30 to below 10 brown.
    """
    return next(name for name, end in TONES.items() if angle < end)


def thirds(angles: Floats) -> list[str | None]:
    """Which third of these images each one's skin belongs to: compares skin within one clinic's camera.

    Args:
        angles: degrees (N,), NaN where unknown.

    Returns:
        A name of THIRDS each, equally many of each but for ties, or ``None``.
    """
    known = angles[~np.isnan(angles)]
    if not known.size:
        return [None] * angles.size
    places = np.digitize(angles, np.quantile(known, [1 / 3, 2 / 3]))
    return [None if np.isnan(angle) else THIRDS[place] for angle, place in zip(angles, places, strict=True)]


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _SIDE / max(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _clear_of_lesion(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels that are clear of the lesion by a margin."""
    small = cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
    side = 2 * round(_MARGIN * max(shape)) + 1
    grown = cv2.dilate(small, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(grown == 0)


def _near_the_edge(lightness: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels outside the middle that are lighter than Otsu's threshold of all that is seen."""
    smooth = cv2.GaussianBlur(lightness, (0, 0), 3)
    levels = np.clip(smooth[lightness >= _BLACK] * 2.55, 0, 255).astype(np.uint8)
    if not levels.size:
        return np.zeros(lightness.shape, bool)
    threshold, _ = cv2.threshold(levels[:, None], 0, 255, cv2.THRESH_OTSU)
    rows, columns = (np.linspace(-1, 1, side) for side in lightness.shape)
    away = np.hypot(*np.meshgrid(rows, columns, indexing="ij")) > _CENTRE
    lighter = smooth * 2.55 >= threshold
    return np.asarray(away & lighter)


def _is_usual(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(values - np.median(values)) <= max(values.std(), 1e-3))
