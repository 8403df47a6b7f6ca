"""Training images with artefacts, for what uses them without any other augmentation: a last layer anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.artefacts.random_artefact import random_artefact
from dermafed.shared.artefacts.surroundings import Image

_STREAM = 2**32 - 1  # apart from the views of an image, which count from 0


@dataclass(frozen=True, slots=True, eq=False)
class ArtefactImages:
    """Images of which a share has an artefact; drawn when they are read, the same every time.

    Attributes:
        images: uint8 (N, S, S, 3).
        share: the probability that an image has one.
        seed: of all draws; with an image's place it decides its artefact.
    """

    images: Image
    share: float
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: NDArray[np.int64]) -> Image:
        """The images at some places, uint8 (B, S, S, 3)."""
        return np.stack([self._drawn(place) for place in index.tolist()])

    def _drawn(self, place: int) -> Image:
        rng = np.random.default_rng((self.seed, _STREAM, place))
        return random_artefact(self.images[place], self.share, rng)
