"""The plane of a painted lesion: coordinates, noise of a given wavelength, and round marks.

Lengths are in units of half the camera's field of view, so a picture looks the same at every size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]

_SUBPIXEL_BITS = 4

# Amplitude of each octave of noise relative to the one before.
_GAIN = 0.6


@dataclass(frozen=True)
class Canvas:
    """A square of skin, a little larger than the field of one photograph.

    Attributes:
        pixels: its side, in pixels.
        extent: half its side; the camera sees the middle, from -1 to 1.
        x: column coordinates, float32 ``(pixels, pixels)``, from ``-extent`` to ``extent``.
        y: row coordinates, likewise.
    """

    pixels: int
    extent: float
    x: Map = field(init=False, repr=False)
    y: Map = field(init=False, repr=False)

    def __post_init__(self) -> None:
        axis = np.linspace(-self.extent, self.extent, self.pixels, dtype=np.float32)
        x, y = np.meshgrid(axis, axis)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)

    @property
    def unit(self) -> float:
        """Pixels in half a field of view."""
        return self.pixels / (2 * self.extent)

    def noise(self, rng: np.random.Generator, wavelength: float, *, octaves: int = 1) -> Map:
        """Smooth random map of mean 0 and standard deviation 1.

        Args:
            rng: the random generator.
            wavelength: size of its coarsest features.
            octaves: number of wavelengths, each half of the one before, and weaker.

        Returns:
            float32 ``(pixels, pixels)``.
        """
        plane = np.zeros((1, 1), np.float32)
        for octave in range(octaves):
            side = min(max(int(4 * self.extent / wavelength * 2**octave), 4), self.pixels)
            grain = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), 1)
            plane = _resized(plane, side) + _GAIN**octave * grain
        mean, deviation = cv2.meanStdDev(plane)
        plane = (plane - mean[0, 0].item()) / (deviation[0, 0].item() + 1e-6)
        return _resized(plane, self.pixels)

    def marks(self, centres: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]) -> Map:
        """Antialiased discs.

        Args:
            centres: x and y of each disc, ``(n, 2)``.
            radii: ``(n,)``.

        Returns:
            float32 ``(pixels, pixels)`` in [0, 1].
        """
        plane = np.zeros((self.pixels, self.pixels), np.uint8)
        scale = self.unit * 2**_SUBPIXEL_BITS
        for (column, row), radius in zip((centres + self.extent) * scale, radii * scale, strict=True):
            centre, size = (round(column), round(row)), max(round(radius), 1)
            cv2.circle(plane, centre, size, 255, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
        return np.asarray(plane / np.float32(255), np.float32)

    def blur(self, plane: Map, radius: float) -> Map:
        """Gaussian blur of standard deviation ``radius``."""
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(radius * self.unit, 0.3)), np.float32)


def _resized(plane: Map, side: int) -> Map:
    return np.asarray(cv2.resize(plane, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def ramp(values: npt.NDArray[np.floating[Any]], start: float, end: float) -> Map:
    """0 up to ``start``, 1 from ``end`` on, smooth in between (a cubic Hermite step)."""
    t = np.clip((values - np.float32(start)) / np.float32(end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
