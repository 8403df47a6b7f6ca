"""How large a lesion is, and whether all of it is in the image."""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.lesion_measures.patch import Mask

_AT_THE_EDGE = 0.05  # share of the border: a lesion that only touches the edge is whole


def largest_diameter(outline: Mask) -> float:
    """The largest distance between two points of the border (the maximum Feret diameter), in pixels.

    The border runs through the middles of the pixels' sides; the two points are corners of the convex hull.

    Args:
        outline: bool (H, W), with at least one pixel.
    """
    rows, columns = np.nonzero(outline)
    sides = ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
    points = np.concatenate([np.stack([columns + x, rows + y], 1) for x, y in sides]).astype(np.float32)
    hull = cv2.convexHull(points)[:, 0].astype(np.float64)
    return float(np.linalg.norm(hull[:, None] - hull[None], axis=2).max())


def is_whole(outline: Mask) -> bool:
    """Whether the image shows all of the lesion: no more than a twentieth of its border is the image's edge.

    Args:
        outline: bool (H, W), with at least one pixel.
    """
    edge = np.zeros_like(outline)
    edge[[0, -1]], edge[:, [0, -1]] = True, True
    core = cv2.erode(np.pad(outline, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
    border = outline & ~core
    return bool((border & edge).sum() <= _AT_THE_EDGE * border.sum())
