"""Energy-based pointing game: how much of the map lies on the lesion.

Wang et al. 2020, "Score-CAM" (arXiv:1910.01279), section 4.3, with the lesion's mask for the bounding box.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.quality.interfaces import Heatmap
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize


@dataclass(frozen=True, slots=True)
class Pointing:
    """How well a map points at the lesion.

    Attributes:
        energy: share of the map's sum inside the lesion, in [0, 1].
        chance: the lesion's share of the image's area: what a constant map gets.
    """

    energy: float
    chance: float

    @property
    def gain(self) -> float:
        """Energy above chance, in (-1, 1)."""
        return self.energy - self.chance


def energy_pointing(heatmap: Heatmap, mask: NDArray[np.bool_]) -> Pointing:
    """Sum the map inside the lesion's mask.

    Args:
        heatmap: float32 (H, W) in [0, 1]. One without any energy points nowhere: it gets chance level.
        mask: bool (H, W), true on the lesion.

    Raises:
        ValueError: the shapes differ, or the mask has no lesion.
    """
    if mask.dtype != np.bool_ or mask.shape != heatmap.shape or not mask.any():
        raise ValueError(f"the mask {mask.dtype} {mask.shape} is no lesion in a map {heatmap.shape}")
    chance = float(mask.mean())
    total = float(heatmap.sum(dtype=np.float64))
    inside = float(heatmap[mask].sum(dtype=np.float64))
    return Pointing(inside / total if total > 0 else chance, chance)


def lesion_mask(path: Path, settings: PreprocessSettings) -> NDArray[np.bool_]:
    """Read a binary mask and bring it to the preprocessed image's frame.

    Args:
        path: an image file of the photograph's size, white on the lesion.
        settings: the photograph's preprocessing.

    Returns:
        bool (S, S).

    Raises:
        ImageError: the file cannot be read.
    """
    return resize(read_image(path), settings.image_size, settings.fit)[..., 0] >= 128
