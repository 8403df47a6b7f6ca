"""How well a map finds the lesion: its box, and pixel by pixel.

As weakly supervised localisation is judged (Choi et al. 2020, arXiv:2007.04178): the overlap of boxes, after
Zhou et al. 2016 (arXiv:1512.04150, section 3.2), and the pixels' average precision, which has no threshold.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from dermafed.shared.explain.quality.interfaces import Heatmap

THRESHOLD = 0.5
"""A pixel of the map is taken for lesion from this share of the map's range. Fixed, not tuned to masks."""

Mask = NDArray[np.bool_]


def box_overlap(heatmap: Heatmap, mask: Mask) -> float:
    """Intersection over union of the box around the map's largest hot part and that around the lesion.

    Args:
        heatmap: float32 (H, W) in [0, 1].
        mask: bool (H, W), true on the lesion somewhere.

    Returns:
        From 0 to 1; 0 for a map without a hot pixel.
    """
    found = _largest_part(heatmap >= THRESHOLD)
    if not found.any():
        return 0.0
    a, b = _filled_box(found), _filled_box(mask)
    return float((a & b).sum() / (a | b).sum())


def pixel_precision(heatmap: Heatmap, mask: Mask) -> float:
    """Average precision of the map's values as scores of "this pixel shows the lesion".

    Args:
        heatmap: float32 (H, W).
        mask: bool (H, W), true on the lesion somewhere.

    Returns:
        From 0 to 1; the lesion's share of the area for a map that is the same everywhere.
    """
    return float(average_precision_score(mask.ravel(), heatmap.ravel()))


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
