"""A lesion on its skin, before any camera: the same scene can be photographed more than once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dermafed.simulation.synthetic.artefacts import add_hair
from dermafed.simulation.synthetic.canvas import Canvas, Map, ramp
from dermafed.simulation.synthetic.criteria import Criteria
from dermafed.simulation.synthetic.keratin import add_keratin
from dermafed.simulation.synthetic.lesion import lesion_depth, lesion_mask
from dermafed.simulation.synthetic.optics import Colour, absorb, scatter
from dermafed.simulation.synthetic.pigment import lesion_melanin
from dermafed.simulation.synthetic.skin import draw_skin

_VEIL: Colour = (0.40, 0.43, 0.54)
_SCAR: Colour = (0.88, 0.77, 0.76)


@dataclass(frozen=True)
class Scene:
    """A lesion on its skin.

    Attributes:
        canvas: the plane it is painted on.
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
        criteria: what the lesion shows.
        phototype: Fitzpatrick's skin type, 1 to 6.
        rng: source of randomness.
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
