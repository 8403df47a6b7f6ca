"""A square's place in its image, by drawing a spot and looking where resizing takes it."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.imaging.preprocess_settings import Fit
from dermafed.shared.imaging.resize import resize
from dermafed.shared.imaging.view import View, view_of


def test_by_hand() -> None:
    assert view_of(300, 500, 100, "crop") == View(slice(0, 100), slice(0, 100), 0, 100, 3)
    assert view_of(300, 500, 100, "pad") == View(slice(20, 80), slice(0, 100), 0, 0, 5)
    assert view_of(1, 500, 100, "pad").rows == slice(49, 50)


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(("height", "width"), [(300, 500), (500, 300), (413, 291), (200, 200), (40, 60)])
def test_a_spot_in_the_image_is_where_the_view_says(fit: Fit, height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    row, column = int(height * 0.45), int(width * 0.55)
    image[row - 6 : row + 6, column - 6 : column + 6] = 255
    square = resize(image, 96, fit)[..., 0].astype(float)
    view = view_of(height, width, 96, fit)
    shown = square[view.rows, view.columns]
    y, x = np.mgrid[: shown.shape[0], : shown.shape[1]] + 0.5
    found = np.array([(y * shown).sum(), (x * shown).sum()]) / shown.sum() * view.scale + (
        view.top,
        view.left,
    )
    assert found == pytest.approx((row, column), abs=0.7 * view.scale)
