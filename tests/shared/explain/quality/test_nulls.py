"""Maps that do not look: fitted to other images' masks, and as good as they can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from dermafed.shared.explain.quality.localisation import pixel_precision
from dermafed.shared.explain.quality.nulls import (
    MEASURES_OF_WIDTH,
    WIDTHS,
    blob,
    fit_nulls,
    of_another_image,
)

SIDE = 40


def disk(radius: float, right: float = 0.0) -> np.ndarray:
    """A lesion: radius and distance from the middle in sides."""
    place = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    return np.hypot(place[:, None], place - right) <= radius


def test_a_blob_is_a_gaussian_in_the_middle() -> None:
    found = blob(SIDE, 0.25)
    assert (found.dtype, found.shape) == (np.float32, (SIDE, SIDE))
    assert np.array_equal(found, found[::-1, ::-1])
    # 9.5 and half a pixel from the middle; the standard deviation is 10 pixels.
    assert found[19, 29] / found[19, 19] == pytest.approx(np.exp(-(9.5**2 - 0.5**2) / 2 / 10**2), rel=1e-4)


@given(st.sampled_from(WIDTHS[:-1]), st.floats(0.08, 0.3), st.floats(-0.2, 0.2))
def test_every_width_ranks_the_pixels_alike(width: float, radius: float, right: float) -> None:
    mask = disk(radius, right)
    first, other = (pixel_precision(blob(SIDE, each), mask) for each in (WIDTHS[0], width))
    assert first == pytest.approx(other, abs=1e-3)


def test_the_width_is_the_best_on_the_masks_it_is_fitted_to() -> None:
    masks = [disk(radius, right) for radius, right in ((0.2, 0.0), (0.15, 0.2), (0.3, -0.1))]
    nulls = fit_nulls(masks)
    for name, measure in MEASURES_OF_WIDTH.items():
        best, *others = (
            np.mean([measure(heatmap, mask) for mask in masks])
            for heatmap in (nulls.blob(name), *(blob(SIDE, width) for width in WIDTHS))
        )
        assert best == max(others)
    # Energy rewards concentration wherever the middle is lesion; the box does not.
    assert nulls.widths["pointing"] == min(WIDTHS)
    assert nulls.widths["box_overlap"] > min(WIDTHS)
    assert np.array_equal(nulls.blob(), blob(SIDE, max(WIDTHS)))


def test_lesions_beside_the_middle_want_a_wide_blob() -> None:
    nulls = fit_nulls([disk(0.1, 0.35)])
    # Where the lesion is far and small, exp(-d^2 / 2 s^2) / s^2 is largest at s = d / sqrt(2), near 0.25.
    assert nulls.widths["pointing"] in (0.25, 0.3)


def test_the_mean_mask_is_the_share_of_masks_that_have_the_pixel() -> None:
    masks = [
        np.eye(4, dtype=np.bool_),
        np.ones((4, 4), np.bool_),
        np.eye(4, dtype=np.bool_),
        ~np.eye(4, dtype=bool),
    ]
    found = fit_nulls(masks).mean_mask
    assert found.dtype == np.float32
    assert np.array_equal(found, np.where(np.eye(4, dtype=bool), 0.75, 0.5))
    assert pixel_precision(found, masks[0]) == average_precision_score(masks[0].ravel(), found.ravel()) == 1


def test_no_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="no masks"):
        fit_nulls([])


def test_another_image_is_the_next_one() -> None:
    maps = [np.full((2, 2), value, np.float32) for value in (1, 2, 3)]
    assert [float(other[0, 0]) for other in of_another_image(maps)] == [2, 3, 1]
    assert of_another_image([]) == []
