"""Shapes whose measures are known by hand, drawn as masks, and plain pictures of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

SKIN, BROWN, BLACK, BLUE = (226, 190, 175), (66, 37, 24), (34, 34, 34), (83, 104, 120)


def grid(side: int, turn: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pixels' centres, about the middle, turned by so many degrees: y and x."""
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return cosine * y - sine * x, sine * y + cosine * x


def disc(side: int, radius: float) -> Mask:
    y, x = grid(side)
    return np.asarray(x**2 + y**2 <= radius**2)


def ellipse(side: int, long: float, short: float, turn: float = 0.0) -> Mask:
    """An ellipse of these half axes."""
    y, x = grid(side, turn)
    return np.asarray((x / long) ** 2 + (y / short) ** 2 <= 1)


def square(side: int, half: float, turn: float = 0.0) -> Mask:
    y, x = grid(side, turn)
    return np.asarray((abs(x) <= half) & (abs(y) <= half))


def half_disc(side: int, radius: float, turn: float = 0.0) -> Mask:
    y, x = grid(side, turn)
    return np.asarray((x**2 + y**2 <= radius**2) & (y >= 0))


def star(side: int, radius: float, waves: int, depth: float, turn: float = 0.0) -> Mask:
    """A disc whose radius goes up and down so many times, by this share."""
    y, x = grid(side, turn)
    return np.asarray(np.hypot(y, x) <= radius * (1 + depth * np.cos(waves * np.arctan2(y, x))))


def picture(lesion: Mask, colour: tuple[int, int, int] = BROWN, skin: tuple[int, int, int] = SKIN) -> Pixels:
    image = np.empty((*lesion.shape, 3), np.uint8)
    image[:], image[lesion] = skin, colour
    return image


def ramp(lesion: Mask, width: float) -> Pixels:
    """A lesion that fades into the skin, over so many pixels about its border."""
    inside = cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 5)
    share = np.clip((inside - outside) / width + 0.5, 0, 1)[..., None]
    return np.asarray(np.rint(share * BROWN + (1 - share) * SKIN), np.uint8)
