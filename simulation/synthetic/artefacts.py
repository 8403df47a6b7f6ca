"""Artefacts on the skin or the lens: hair, ruler marks, air bubbles, glare."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from dermafed.simulation.synthetic.canvas import Canvas, Map
from dermafed.simulation.synthetic.skin import Colour, scatter

_HAIR: tuple[Colour, ...] = ((0.13, 0.09, 0.08), (0.28, 0.18, 0.13), (0.50, 0.36, 0.26))
_VELLUS: Colour = (0.95, 0.86, 0.80)
_INK: Colour = (0.16, 0.16, 0.24)
_LIGHT: Colour = (1.0, 0.99, 0.98)
_SUBPIXEL_BITS = 4


def add_hair(image: Map, canvas: Canvas, rng: np.random.Generator) -> Map:
    """Dark hairs on some skin, a few pale vellus hairs on most.

    Args:
        image: RGB in [0, 1], ``(pixels, pixels, 3)``.
        canvas: the plane of the image.
        rng: the random generator.
    """
    pale = _strands(canvas, int(rng.integers(0, 14)), 0.5, (0.1, 0.4), rng)
    image = scatter(image, 0.22 * canvas.blur(pale, 0.004), _VELLUS)
    if rng.random() < 0.28:
        dark = _strands(canvas, int(rng.integers(2, 13)), 1.0, (0.3, 1.5), rng)
        image = image * (1 - 0.15 * canvas.blur(dark, 0.03))[..., None]
        image = scatter(image, 0.75 * canvas.blur(dark, 0.005), _HAIR[rng.integers(len(_HAIR))])
    return image


def add_bubbles(image: Map, canvas: Canvas, rng: np.random.Generator) -> Map:
    """Air bubbles in the immersion fluid: bright rings, darker inside, each with a glint."""
    count = int(rng.integers(1, 7))
    places, sizes = rng.uniform(-1, 1, (count, 2)), rng.uniform(0.02, 0.09, count)
    full, hollow = canvas.marks(places, sizes), canvas.marks(places, 0.82 * sizes)
    glint = canvas.marks(places - 0.4 * sizes[:, None], 0.18 * sizes)
    image = image * (1 - 0.10 * hollow)[..., None]
    image = scatter(image, 0.35 * canvas.blur(full - hollow, 0.006), _LIGHT)
    return scatter(image, 0.8 * canvas.blur(glint, 0.008), _LIGHT)


def add_glare(image: Map, canvas: Canvas, rng: np.random.Generator) -> Map:
    """Small specular flecks, where the lamp is mirrored."""
    count = int(rng.integers(3, 16))
    places = rng.uniform(-0.8, 0.8, 2) + rng.normal(0, 0.18, (count, 2))
    flecks = canvas.marks(places, rng.uniform(0.006, 0.02, count))
    return scatter(image, 0.9 * canvas.blur(flecks, 0.008), _LIGHT)


def add_ruler(image: Map, canvas: Canvas, rng: np.random.Generator) -> Map:
    """Millimetre ticks along one edge of the field, every fifth one longer."""
    plane = np.zeros((canvas.pixels, canvas.pixels), np.uint8)
    spacing, edge = rng.uniform(0.12, 0.2), rng.uniform(0.8, 0.95)
    for index, at in enumerate(np.arange(-canvas.extent, canvas.extent, spacing)):
        length = 0.12 if index % 5 == 0 else 0.06
        tick = _fixed_point(canvas, np.array([[at, edge], [at, edge - length]]))
        cv2.polylines(plane, [tick], False, 255, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    ticks = np.asarray(np.rot90(plane, int(rng.integers(4))) / np.float32(255), np.float32)
    return scatter(image, 0.7 * canvas.blur(ticks, 0.004), _INK)


def _strands(
    canvas: Canvas, count: int, width: float, lengths: tuple[float, float], rng: np.random.Generator
) -> Map:
    """Gently bent lines, mostly combed one way; ``width`` in pixels of a 160-pixel view."""
    plane = np.zeros((canvas.pixels, canvas.pixels), np.uint8)
    comb, t = rng.uniform(0, math.pi), np.linspace(-0.5, 0.5, 24)
    thickness = max(1, round(width * canvas.unit / 80))
    for _ in range(count):
        angle, length, bend = rng.normal(comb, 0.5), rng.uniform(*lengths), rng.normal(0, 0.5)
        along, across = length * t, bend * length * (t**2 - 0.1)
        x = rng.uniform(-1, 1) + np.cos(angle) * along - np.sin(angle) * across
        y = rng.uniform(-1, 1) + np.sin(angle) * along + np.cos(angle) * across
        line = _fixed_point(canvas, np.column_stack([x, y]))
        cv2.polylines(plane, [line], False, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return np.asarray(plane / np.float32(255), np.float32)


def _fixed_point(canvas: Canvas, places: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Places ``(n, 2)`` in the integer sub-pixel coordinates that OpenCV draws in."""
    return np.asarray(np.rint((places + canvas.extent) * canvas.unit * 2**_SUBPIXEL_BITS), np.int32)
