"""Stuck on: waxy scale, milia-like cysts, comedo-like openings and fissures."""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.simulation.synthetic.canvas import Canvas, Map, ramp
from dermafed.simulation.synthetic.criteria import Criteria
from dermafed.simulation.synthetic.pigment import scatter_points
from dermafed.simulation.synthetic.skin import Colour, scatter

_WAX: tuple[Colour, ...] = ((0.76, 0.60, 0.47), (0.67, 0.56, 0.53), (0.60, 0.45, 0.38), (0.44, 0.33, 0.29))
_CYST: Colour = (0.97, 0.93, 0.82)
_PLUG: Colour = (0.22, 0.13, 0.08)
_FURROW: Colour = (0.30, 0.19, 0.13)


def add_keratin(image: Map, canvas: Canvas, criteria: Criteria, depth: Map, rng: np.random.Generator) -> Map:
    """Cover a lesion with its keratin structures.

    Args:
        image: RGB in [0, 1], ``(pixels, pixels, 3)``.
        canvas: the plane it is painted on.
        criteria: which structures, and how strong.
        depth: from :func:`dermafed.simulation.synthetic.scene.lesion_depth`.
        rng: source of randomness.
    """
    inside = ramp(depth, 0.0, 0.08)
    if criteria.wax:
        image = _wax(image, canvas, criteria.wax * inside, rng)
    if criteria.fissures:
        furrow = np.exp(-((canvas.noise(rng, 0.26, octaves=2) / 0.26) ** 2))
        image = scatter(image, 0.5 * criteria.fissures * furrow * inside, _FURROW)
    if criteria.comedones:
        image = _comedones(image, canvas, criteria.comedones, depth, rng)
    if criteria.milia:
        places = scatter_points(depth, canvas, int(6 + 26 * criteria.milia), rng)
        cysts = canvas.marks(places, 0.015 * rng.lognormal(0, 0.45, len(places)))
        image = scatter(image, 0.95 * canvas.blur(cysts, 0.014), _CYST)
    return image


def _wax(image: Map, canvas: Canvas, amount: Map, rng: np.random.Generator) -> Map:
    """A translucent yellow to grey layer with a bumpy, obliquely lit surface."""
    height = canvas.noise(rng, 0.22, octaves=3)
    colour = _WAX[rng.integers(len(_WAX))]
    waxy = scatter(image, np.clip(amount * (0.45 + 0.14 * height), 0, 0.9), colour)
    slope = cv2.Sobel(height, cv2.CV_32F, 1, 1, ksize=3) * canvas.unit / 80
    return waxy * (1 + 0.10 * amount * np.clip(slope, -1.5, 1.5))[..., None]


def _comedones(image: Map, canvas: Canvas, strength: float, depth: Map, rng: np.random.Generator) -> Map:
    """Dark round plugs with a pale rim."""
    places = scatter_points(depth, canvas, int(4 + 18 * strength), rng)
    sizes = 0.02 * rng.lognormal(0, 0.45, len(places))
    rim = canvas.blur(canvas.marks(places, 1.45 * sizes), 0.01)
    image = scatter(image, 0.18 * rim, _CYST)
    return scatter(image, 0.85 * canvas.blur(canvas.marks(places, sizes), 0.012), _PLUG)
