from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.lesion_measures.size import is_whole, largest_diameter
from tests.shared.lesion_measures.shapes import disc, ellipse, half_disc, square


def test_diameters_known_by_hand() -> None:
    assert largest_diameter(disc(200, 60)) == pytest.approx(120, abs=1)
    assert largest_diameter(ellipse(200, 80, 30, turn=37)) == pytest.approx(160, abs=1)
    assert largest_diameter(half_disc(200, 60, turn=20)) == pytest.approx(120, abs=1)
    assert largest_diameter(square(200, 50)) == pytest.approx(100 * np.sqrt(2), abs=1)


def test_a_single_pixel_and_a_line() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert largest_diameter(mask) == 1
    mask[4, 2:8] = True
    assert largest_diameter(mask) == 6


def test_a_lesion_that_the_image_cuts_is_not_whole() -> None:
    assert is_whole(disc(100, 30))
    assert is_whole(ellipse(100, 49.6, 30)), "it only touches the edge"
    assert not is_whole(np.roll(disc(100, 30), 30, axis=0))
    assert not is_whole(np.ones((20, 30), bool))
