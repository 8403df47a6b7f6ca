"""How well a map finds the lesion: its energy, its box, and pixel by pixel.

The energy-based pointing game is of Wang et al. 2020, "Score-CAM" (arXiv:1910.01279), section 4.3, with the
lesion's mask in place of the bounding box. Box overlap and average precision are those of weakly supervised
localisation (Choi et al. 2020, arXiv:2007.04178): the overlap of boxes after Zhou et al. 2016
(arXiv:1512.04150, section 3.2), and the pixels' average precision, which has no threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from dermafed.shared.explain.maps import Heatmap

THRESHOLD = 0.5
"""A pixel of the map is taken for lesion from this share of the map's range. Fixed, not tuned to masks."""
Mask = NDArray[np.bool_]


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
    """Sum the map inside the lesion's mask; of a signed map, its magnitude.

    Args:
        heatmap: float32 (H, W) in [-1, 1]. One without any energy points nowhere: it gets chance level.
        mask: bool (H, W), true on the lesion.

    Raises:
        ValueError: the shapes differ, or the mask has no lesion.
    """
    if mask.dtype != np.bool_ or mask.shape != heatmap.shape or not mask.any():
        raise ValueError(f"the mask {mask.dtype} {mask.shape} is no lesion in a map {heatmap.shape}")
    chance = float(mask.mean())
    energy = np.abs(heatmap)
    total = float(energy.sum(dtype=np.float64))
    inside = float(energy[mask].sum(dtype=np.float64))
    return Pointing(inside / total if total > 0 else chance, chance)


def box_overlap(heatmap: Heatmap, mask: Mask) -> float:
    """Intersection over union of the box around the map's largest hot part and that around the lesion.

    Args:
        heatmap: float32 (H, W) in [0, 1]; of a signed one, in [-1, 1], the magnitude counts.
        mask: bool (H, W), true on the lesion somewhere.

    Returns:
        From 0 to 1; 0 for a map without a hot pixel.
    """
    found = _largest_part(np.abs(heatmap) >= THRESHOLD)
    if not found.any():
        return 0.0
    a, b = _filled_box(found), _filled_box(mask)
    return float((a & b).sum() / (a | b).sum())


def pixel_precision(heatmap: Heatmap, mask: Mask) -> float:
    """Average precision of the map's values as scores of "this pixel shows the lesion".

    Args:
        heatmap: float32 (H, W); of a signed one the magnitude counts.
        mask: bool (H, W), true on the lesion somewhere.

    Returns:
        From 0 to 1; the lesion's share of the area for a map that is the same everywhere.
    """
    return float(average_precision_score(mask.ravel(), np.abs(heatmap).ravel()))


def _largest_part(hot: Mask) -> Mask:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(hot.astype(np.uint8))
    if count == 1:
        return hot
    largest: Mask = parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return largest


def _filled_box(part: Mask) -> Mask:
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    box = np.zeros_like(part)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box
