"""Healthy skin: tone, blotches, pores and the fine criss-cross of its furrows."""

from __future__ import annotations

import numpy as np

from dermafed.simulation.synthetic.canvas import Canvas, Map

# Melanin density of the six phototypes of Fitzpatrick (1988).
PHOTOTYPE_MELANIN = (0.06, 0.16, 0.30, 0.55, 0.95, 1.45)


def draw_skin(canvas: Canvas, phototype: int, rng: np.random.Generator) -> tuple[Map, Map]:
    """Chromophores of healthy skin.

    Args:
        canvas: the plane to paint on.
        phototype: Fitzpatrick's, 1 to 6.
        rng: source of randomness.

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
