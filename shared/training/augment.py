"""Random flips, rotations, zooms and illumination (paper, section 4.1), in NumPy and OpenCV.

Keras' augmentation layers cost a third of the training speed on a CPU; one affine warp and one
look-up table an image cost a few per cent.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.artefacts.random_artefact import random_artefact

AUGMENTATION_VERSION = 1  # raise it when the same draws give other images: saved features depend on it

ROTATION = (0, 360)  # degrees
ZOOM = (0.85, 1.2)
GAIN = (0.85, 1.15)  # of all channels: illumination
TINT = (0.95, 1.05)  # of each channel: colour temperature
GAMMA = (0.85, 1.2)
MELANIN = (-0.1, 0.6)  # optical depth at 550 nm that is added: from somewhat fairer to tan

# Melanin's absorption of red, green and blue against 550 nm, as wavelength^-3.33 (Jacques 1996).
_ABSORPTION = (np.array([610, 550, 465]) / 550) ** -3.33
_DISPLAY_GAMMA = 2.2


def augment(
    image: NDArray[np.uint8], rng: np.random.Generator, *, tones: bool = False, artefacts: float = 0.0
) -> NDArray[np.uint8]:
    """Return a randomly flipped, rotated, zoomed and relit copy, perhaps with an artefact.

    Artefacts have a generator of their own, a child of ``rng``: all else is drawn as without them.

    Args:
        image: uint8 (S, S, 3).
        rng: generator of all random draws.
        tones: whether the skin also gets another tone, as if its epidermis had more or less melanin.
        artefacts: the probability that ink, hair or another artefact is drawn, before the light changes.

    Returns:
        uint8 (S, S, 3); the border is mirrored where the image ends.
    """
    warped = np.asarray(_warp(image, rng), np.uint8)
    if artefacts:
        (own,) = rng.spawn(1)
        warped = random_artefact(warped, artefacts, own)
    return _relight(warped, rng, tones)


def augmented_lesion(shares: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Where the lesion is in the copy that :func:`augment` makes with a generator of the same state.

    Args:
        shares: how much of each of the image's cells is lesion, float32 (G, G).
        rng: the generator.

    Returns:
        The same of the copy.
    """
    return np.asarray(_warp(shares, rng), np.float32)


def _warp(square: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    side = square.shape[0]
    centre = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), rng.uniform(*ROTATION), rng.uniform(*ZOOM))
    if rng.random() < 0.5:  # mirror first: x -> side - 1 - x
        matrix = matrix @ np.array([[-1, 0, side - 1], [0, 1, 0], [0, 0, 1]], np.float64)
    return cv2.warpAffine(square, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def _relight(image: NDArray[np.uint8], rng: np.random.Generator, tones: bool) -> NDArray[np.uint8]:
    gains = rng.uniform(*GAIN) * rng.uniform(*TINT, size=3)
    levels = np.linspace(0, 1, 256)[:, None] ** rng.uniform(*GAMMA) * gains
    if tones:  # Beer and Lambert's law on linear light
        levels = levels * np.exp(-rng.uniform(*MELANIN) * _ABSORPTION / _DISPLAY_GAMMA)
    table = np.clip(255 * levels, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)
