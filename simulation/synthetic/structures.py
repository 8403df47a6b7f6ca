"""Dermoscopic structures: pigment (network, globules, dots, blotches) and keratin (wax, cysts, plugs)."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from dermafed.simulation.synthetic.canvas import Canvas, Map, ramp
from dermafed.simulation.synthetic.criteria import Criteria
from dermafed.simulation.synthetic.skin import Colour, scatter

_WAX: tuple[Colour, ...] = ((0.76, 0.60, 0.47), (0.67, 0.56, 0.53), (0.60, 0.45, 0.38), (0.44, 0.33, 0.29))
_CYST: Colour = (0.97, 0.93, 0.82)
_PLUG: Colour = (0.22, 0.13, 0.08)
_FURROW: Colour = (0.30, 0.19, 0.13)


def lesion_melanin(canvas: Canvas, criteria: Criteria, depth: Map, rng: np.random.Generator) -> Map:
    """Melanin that the lesion adds to the skin, as optical density, float32 ``(pixels, pixels)``."""
    body = _body(canvas, criteria, depth, rng)
    pigment = criteria.melanin * body
    if criteria.network:
        pigment *= 1 + criteria.network * _network(canvas, criteria.disorder, rng)
    pigment += 1.7 * criteria.core * ramp(depth, 0.15, 0.9) * body
    if criteria.blotches:
        pigment += 3.2 * criteria.blotches * _blotches(canvas, criteria, depth, rng)
    if criteria.globules:
        pigment += criteria.globules * _clods(canvas, depth, 150, (0.014, 0.032), rng)
    if criteria.dots:
        pigment += 2.2 * criteria.dots * _clods(canvas, depth, 60, (0.01, 0.024), rng, clustered=True)
    return pigment


def scatter_points(
    depth: Map, canvas: Canvas, count: int, rng: np.random.Generator, *, weight: Map | None = None
) -> npt.NDArray[np.float64]:
    """Random places inside the lesion, not at its border.

    Args:
        depth: from :func:`dermafed.simulation.synthetic.scene.lesion_depth`.
        canvas: the plane of the depth map.
        count: number of places to try; those outside the lesion are dropped.
        rng: the random generator.
        weight: probability of each place, in [0, 1], ``(pixels, pixels)``; ``None``: 1 everywhere.

    Returns:
        x and y, ``(n, 2)`` with n <= count.
    """
    pixel = rng.integers(0, canvas.pixels, (4 * count, 2))
    chance = rng.random(4 * count)
    chosen = depth[pixel[:, 0], pixel[:, 1]] > 0.08
    if weight is not None:
        chosen &= chance < weight[pixel[:, 0], pixel[:, 1]]
    return np.asarray((pixel[chosen][:count, ::-1] + 0.5) / canvas.unit - canvas.extent, np.float64)


def _body(canvas: Canvas, criteria: Criteria, depth: Map, rng: np.random.Generator) -> Map:
    """The lesion's ground colour: fades at the border, clumpy inside."""
    clumps = canvas.noise(rng, 0.35, octaves=4)
    grain = canvas.noise(rng, 0.09, octaves=2)
    frayed = depth + criteria.fade * (0.14 * clumps + 0.14 * grain)
    cover = ramp(frayed, -0.3 * criteria.fade, 0.7 * criteria.fade)
    uneven = 1 + criteria.mottle * (0.38 * clumps + 0.32 * grain)
    deep = 0.75 + 0.5 * ramp(depth, 0, 0.8)
    return np.asarray(cover * np.maximum(uneven, 0.12) * deep, np.float32)


def _network(canvas: Canvas, disorder: float, rng: np.random.Generator) -> Map:
    """A honeycomb of lines, -1 in its holes to 1 on the lines; disorder bends, widens and interrupts it."""
    bend = 0.014 + 0.02 * disorder
    x = canvas.x + bend * canvas.noise(rng, 0.3, octaves=3)
    y = canvas.y + bend * canvas.noise(rng, 0.3, octaves=3)
    wave, turn = 2 * math.pi / rng.uniform(0.06, 0.095), rng.uniform(0, math.pi)
    angles = [turn + k * math.pi / 3 for k in (0, 2, 4)]
    holes = sum(np.cos(wave * (math.cos(a) * x + math.sin(a) * y)) for a in angles)
    lines = np.clip((0.6 - holes) / 1.6, -1, 1)
    presence = np.clip(0.6 + (0.3 + 0.3 * disorder) * canvas.noise(rng, 0.4, octaves=3), 0, 1.1)
    return np.asarray(0.6 * lines * presence, np.float32)


def _blotches(canvas: Canvas, criteria: Criteria, depth: Map, rng: np.random.Generator) -> Map:
    """One to three dark areas away from the middle."""
    dark = np.zeros_like(depth)
    warp = 0.35 * canvas.noise(rng, 0.4, octaves=4)
    for x, y in scatter_points(depth, canvas, int(rng.integers(1, 4)), rng).tolist():
        size = criteria.radius * rng.uniform(0.22, 0.5)
        distance = np.hypot(canvas.x - x, canvas.y - y) / size
        dark = np.maximum(dark, rng.uniform(0.5, 1.0) * ramp(warp - distance, -1.25, -0.5))
    return dark * ramp(depth, -0.05, 0.12)


def _clods(
    canvas: Canvas,
    depth: Map,
    count: int,
    sizes: tuple[float, float],
    rng: np.random.Generator,
    *,
    clustered: bool = False,
) -> Map:
    """Soft round clods, evenly spread or in clusters."""
    weight = ramp(canvas.noise(rng, 0.5), 0.2, 1.2) if clustered else None
    places = scatter_points(depth, canvas, count, rng, weight=weight)
    return canvas.blur(canvas.marks(places, rng.uniform(*sizes, len(places))), 0.008)


def add_keratin(image: Map, canvas: Canvas, criteria: Criteria, depth: Map, rng: np.random.Generator) -> Map:
    """Cover a lesion with its keratin structures.

    Args:
        image: RGB in [0, 1], ``(pixels, pixels, 3)``.
        canvas: the plane of the image.
        criteria: the structures and their strengths.
        depth: from :func:`dermafed.simulation.synthetic.scene.lesion_depth`.
        rng: the random generator.
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
