"""The third of images whose lesion is farthest from the middle."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.quality.off_centre import distance_from_middle, farthest_third


def dot(row: int, column: int, side: int = 9) -> np.ndarray:
    mask = np.zeros((side, side), np.bool_)
    mask[row, column] = True
    return mask


def test_worked_example_of_distance() -> None:
    assert distance_from_middle(dot(4, 4)) == 0
    assert distance_from_middle(dot(1, 8)) == pytest.approx(5 / 9)  # 3 rows and 4 columns from the middle
    assert distance_from_middle(dot(4, 0) | dot(4, 8)) == 0, "the centroid counts"
    assert distance_from_middle(np.ones((9, 9), np.bool_)) == 0


def test_the_size_of_the_image_does_not_matter() -> None:
    small, large = np.zeros((6, 6), np.bool_), np.zeros((60, 60), np.bool_)
    small[:2, :3], large[:20, :30] = True, True
    assert distance_from_middle(small) == pytest.approx(distance_from_middle(large))


def test_a_third_is_chosen_rounded_the_first_of_equals() -> None:
    places = (4, 0, 3, 8, 1, 4, 4, 4)
    far = farthest_third([dot(4, place) for place in places])
    assert [place for place, chosen in zip(places, far, strict=True) if chosen] == [0, 8, 1]
    assert farthest_third([dot(0, 0)] * 4).tolist() == [True, False, False, False]
    assert farthest_third([]).tolist() == []
