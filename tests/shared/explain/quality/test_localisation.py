from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.quality.localisation import box_overlap, pixel_precision


def mask(*places: tuple[int, int, int, int]) -> np.ndarray:
    """Boxes (top, left, height, width) in 8 x 8 pixels."""
    found = np.zeros((8, 8), np.bool_)
    for top, left, height, width in places:
        found[top : top + height, left : left + width] = True
    return found


def test_boxes_overlap_by_intersection_over_union() -> None:
    lesion = mask((2, 2, 4, 4))
    # 8 of the found box' 16 pixels are among the lesion box' 16: 8 / 24.
    assert box_overlap(mask((2, 4, 4, 4)).astype(np.float32), lesion) == pytest.approx(1 / 3)
    assert box_overlap(lesion.astype(np.float32), lesion) == 1
    assert box_overlap(np.zeros((8, 8), np.float32), lesion) == 0


def test_only_the_largest_hot_part_counts_and_only_from_half_the_range() -> None:
    lesion = mask((0, 0, 4, 4))
    heatmap = mask((0, 0, 4, 4)).astype(np.float32) * 0.5
    heatmap[7, 7] = 1.0  # hotter, but smaller
    heatmap[4:7, 0:3] = 0.49
    assert box_overlap(heatmap, lesion) == 1


def test_a_lesions_box_is_filled() -> None:
    ring = mask((1, 1, 6, 6)) & ~mask((2, 2, 4, 4))
    assert box_overlap(mask((1, 1, 6, 6)).astype(np.float32), ring) == 1


def test_pixel_precision_needs_no_threshold() -> None:
    lesion = mask((0, 0, 4, 8))
    rising = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert pixel_precision(1 - rising, lesion) == 1
    assert pixel_precision((1 - rising) ** 5, lesion) == 1
    assert pixel_precision(np.ones((8, 8), np.float32), lesion) == pytest.approx(0.5)
    # The other way round precision at the k-th lesion pixel is k / (32 + k).
    expected = np.mean([k / (32 + k) for k in range(1, 33)])
    assert pixel_precision(rising, lesion) == pytest.approx(expected)
