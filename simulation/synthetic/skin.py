"""From pigment to colour: chromophores absorb, keratin and scars scatter.

Absorption follows the law of Beer and Lambert, R = R0 exp(-sum_k eps_k D_k), with densities D of melanin
and blood as in the skin model of Anderson and Parrish (1981). Cameras encode light by a power law; a
power of an exponential is an exponential, so the law is applied to encoded values, eps scaled with it.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from dermafed.simulation.synthetic.canvas import Canvas, Map

Colour = tuple[float, float, float]

# Encoded RGB; fitted by eye and by medians to public dermoscopic images.
DERMIS: Colour = (0.95, 0.79, 0.84)
_MELANIN: Colour = (0.36, 0.63, 0.92)
_BLOOD: Colour = (0.07, 0.55, 0.46)

# Melanin density of the six phototypes of Fitzpatrick (1988).
PHOTOTYPE_MELANIN = (0.06, 0.16, 0.30, 0.55, 0.95, 1.45)


def absorb(melanin: Map, blood: Map) -> Map:
    """Light that comes back from the dermis through melanin and blood.

    Args:
        melanin: optical density, ``(h, w)``; about 0 (type I skin) to 1.7 (type VI), lesions up to 5.
        blood: optical density, ``(h, w)``.

    Returns:
        Encoded RGB in [0, 1], float32 ``(h, w, 3)``.
    """
    layers = [
        base * np.exp(-m * melanin - b * blood) for base, m, b in zip(DERMIS, _MELANIN, _BLOOD, strict=True)
    ]
    return np.dstack(layers).astype(np.float32)


def scatter(image: Map, alpha: Map, colour: Colour) -> Map:
    """Cover the image with a translucent layer: ``alpha`` ``(h, w)`` in [0, 1] of ``colour`` over it."""
    layer = _sheet(image.shape, colour)
    return np.asarray(cv2.blendLinear(image, layer, 1 - alpha, alpha), np.float32)


@lru_cache(maxsize=32)
def _sheet(shape: tuple[int, ...], colour: Colour) -> Map:
    return np.full(shape, colour, np.float32)


def draw_skin(canvas: Canvas, phototype: int, rng: np.random.Generator) -> tuple[Map, Map]:
    """Chromophores of healthy skin.

    Args:
        canvas: the plane to paint on.
        phototype: Fitzpatrick's, 1 to 6.
        rng: the random generator.

    Returns:
        Optical densities of melanin and of blood, each float32 ``(pixels, pixels)``.
    """
    tone = PHOTOTYPE_MELANIN[phototype - 1] * rng.uniform(0.75, 1.25)
    texture = rng.uniform(0.5, 1.3)
    freckles = canvas.noise(rng, 0.5, octaves=4)
    melanin = tone * (1 + 0.16 * texture * freckles) + 0.06 * texture * _furrows(canvas, rng)
    flush = canvas.noise(rng, 1.2, octaves=2)
    pores = canvas.noise(rng, 0.1, octaves=2)
    blood = rng.uniform(0.12, 0.4) + texture * (0.05 * flush + 0.05 * pores)
    blood += _vessels(canvas, rng) * rng.uniform(0, 0.5)
    return np.maximum(melanin, 0), np.maximum(blood, 0)


def _furrows(canvas: Canvas, rng: np.random.Generator) -> Map:
    """The fine mesh of skin lines: the zero lines of noise, 1 in a furrow, down to about -1 between."""
    return 1 - np.abs(canvas.noise(rng, 0.11, octaves=2))


def _vessels(canvas: Canvas, rng: np.random.Generator) -> Map:
    """Thin, branching, faint capillaries, in patches."""
    ridge = np.exp(-((canvas.noise(rng, 0.45, octaves=2) / 0.05) ** 2))
    return np.asarray(ridge * np.clip(canvas.noise(rng, 0.9), 0, 1), np.float32)
