"""The artefacts by name, and how they are drawn on an image: the same on each image every time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dermafed.shared.artefacts.colour_patch import colour_patch
from dermafed.shared.artefacts.erased_lesion import erased_lesion
from dermafed.shared.artefacts.hair import hair
from dermafed.shared.artefacts.ink import ink_marks
from dermafed.shared.artefacts.names import CHANGE_TITLES
from dermafed.shared.artefacts.ruler import ruler
from dermafed.shared.artefacts.surroundings import Image, Mask
from dermafed.shared.artefacts.vignette import vignette
from dermafed.shared.artefacts.white_balance import white_balance


@dataclass(frozen=True, slots=True)
class Artefact:
    """An artefact.

    Attributes:
        title: for a table.
        draw: draws it on an image, uint8 RGB (H, W, 3), whose lesion is a mask, bool (H, W).
        keeps_lesion: whether the lesion's pixels stay as they are.
    """

    title: str
    draw: Callable[[Image, Mask, np.random.Generator], Image]
    keeps_lesion: bool


_T = CHANGE_TITLES
ARTEFACTS = {
    "ink": Artefact(_T["ink"], ink_marks, True),
    "ruler": Artefact(_T["ruler"], ruler, True),
    "colour-patch": Artefact(_T["colour-patch"], colour_patch, True),
    "hair": Artefact(_T["hair"], hair, False),
    "vignette": Artefact(_T["vignette"], vignette, False),
    "white-balance": Artefact(_T["white-balance"], white_balance, False),
}

DRAWING_VERSION = 1
"""Raise it when the same draws give other images: features of them that are saved depend on it."""

ERASED = Artefact(_T["lesion-erased"], erased_lesion, False)
"""No artefact, but the opposite test: all that a diagnosis may depend on is gone."""

CHANGES = {**ARTEFACTS, "lesion-erased": ERASED}
"""What an audit draws on images, by name."""


def draw(artefact: Artefact, image: Image, lesion: Mask, name: str) -> Image:
    """Draw an artefact on an image, in a way that depends only on the image's name and the artefact.

    Args:
        artefact: one of :data:`ARTEFACTS`, or :data:`ERASED`.
        image: RGB uint8 (H, W, 3), before any preprocessing.
        lesion: bool (H, W), true on the lesion.
        name: the image's id.

    Returns:
        A new image of the same shape.

    Raises:
        ValueError: the mask has another size than the image.
    """
    if lesion.shape != image.shape[:2]:
        raise ValueError(f"a mask {lesion.shape} for an image {image.shape}")
    seed = hashlib.sha256(f"{artefact.title}\0{name}".encode()).digest()
    return artefact.draw(image, lesion, np.random.default_rng(np.frombuffer(seed, np.uint32)))
