"""Paints a lesion on skin; its shape is a noise-warped ellipse, as a map of depth inside the border."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dermafed.simulation.synthetic.artefacts import add_hair
from dermafed.simulation.synthetic.canvas import Canvas, Map, ramp
from dermafed.simulation.synthetic.criteria import Criteria
from dermafed.simulation.synthetic.skin import Colour, absorb, draw_skin, scatter
from dermafed.simulation.synthetic.structures import add_keratin, lesion_melanin

_VEIL: Colour = (0.40, 0.43, 0.54)
_SCAR: Colour = (0.88, 0.77, 0.76)


def lesion_depth(canvas: Canvas, criteria: Criteria, rng: np.random.Generator) -> Map:
    """How far inside the lesion a point lies.

    Returns:
        float32 ``(pixels, pixels)``: about 1 in the middle, 0 on the border, negative outside.
    """
    angle, (left, top) = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.07, 2).tolist()
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = canvas.x - left, canvas.y - top
    along, across = cos * x + sin * y, cos * y - sin * x
    stretch = math.sqrt(criteria.elongation)
    theta = np.arctan2(across, along)
    radius = np.hypot(along / stretch, across * stretch) / criteria.radius
    outline = 1 + _lobes(theta, criteria.asymmetry, rng) + _spikes(theta, criteria.streaks, rng)
    ragged = canvas.noise(rng, criteria.radius, octaves=2) + 0.35 * canvas.noise(rng, 0.22, octaves=3)
    depth = 1 - radius / outline + criteria.irregularity * ragged * np.minimum(radius, 1)
    return np.asarray(depth, np.float32)


def lesion_mask(canvas: Canvas, depth: Map) -> npt.NDArray[np.uint8]:
    """Lesion pixels, 255 inside and 0 outside, without holes or specks, as an expert would draw it."""
    inside = (depth > 0).astype(np.uint8) * 255
    side = 2 * round(0.04 * canvas.unit) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    smooth = cv2.morphologyEx(cv2.morphologyEx(inside, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, kernel)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea)
    mask = np.zeros_like(inside)
    return np.asarray(cv2.drawContours(mask, [largest], -1, 255, cv2.FILLED), np.uint8)


def _lobes(theta: Map, asymmetry: float, rng: np.random.Generator) -> Map:
    """One-sided bulges and notches: the first, second and third harmonic of the outline."""
    waves = (np.cos(k * theta + rng.uniform(0, 2 * math.pi)) / k for k in (1, 2, 3))
    return np.asarray(np.clip(asymmetry * sum(waves), -0.6, 0.6), np.float32)


def _spikes(theta: Map, streaks: float, rng: np.random.Generator) -> Map:
    """Streaks and pseudopods: spikes of the outline in one sector."""
    if not streaks:
        return np.zeros_like(theta)
    sector = np.clip(np.cos(theta - rng.uniform(0, 2 * math.pi)) + 0.3, 0, 1)
    comb = cv2.GaussianBlur(rng.standard_normal((1024, 1), np.float32), (1, 0), 0, sigmaY=7)[:, 0]
    spikes = np.maximum(comb / comb.std(), 0)
    around = (theta * (len(comb) / (2 * math.pi))).astype(int) % len(comb)
    return np.asarray(0.16 * streaks * sector * spikes[around], np.float32)


@dataclass(frozen=True)
class Scene:
    """A lesion on its skin.

    Attributes:
        canvas: the plane of the image.
        image: RGB in [0, 1], float32 ``(pixels, pixels, 3)``.
        mask: 255 in the lesion, 0 elsewhere, uint8 ``(pixels, pixels)``.
    """

    canvas: Canvas
    image: Map
    mask: npt.NDArray[np.uint8]


def paint_scene(canvas: Canvas, criteria: Criteria, phototype: int, rng: np.random.Generator) -> Scene:
    """Paint one lesion.

    Args:
        canvas: the plane to paint on.
        criteria: the lesion's criteria.
        phototype: Fitzpatrick's skin type, 1 to 6.
        rng: the random generator.
    """
    melanin, blood = draw_skin(canvas, phototype, rng)
    depth = lesion_depth(canvas, criteria, rng)
    inside = ramp(depth, -0.3 * criteria.fade, 0.7 * criteria.fade)
    melanin += lesion_melanin(canvas, criteria, depth, rng)
    flush = criteria.blood * (1 + 0.4 * canvas.noise(rng, 0.8, octaves=3))
    blood += inside * (flush + 0.9 * _patches(canvas, criteria.milky_red, rng))
    image = absorb(melanin, blood)
    image = scatter(image, 0.75 * inside * _patches(canvas, criteria.regression, rng), _SCAR)
    image = scatter(image, 0.75 * inside * _patches(canvas, criteria.veil, rng), _VEIL)
    image = add_keratin(image, canvas, criteria, depth, rng)
    return Scene(canvas, add_hair(image, canvas, rng), lesion_mask(canvas, depth))


def _patches(canvas: Canvas, strength: float, rng: np.random.Generator) -> Map | float:
    """Irregular areas, about a third of the plane, from 0 to ``strength``."""
    if not strength:
        return 0.0
    return strength * ramp(canvas.noise(rng, 0.7, octaves=4), -0.2, 2.0)
