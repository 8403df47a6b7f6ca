"""Windows of the second view, and the image that is cut there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.explain.second_view import (
    Window,
    central_window,
    hottest_window,
    random_window,
    second_view,
)
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import Fit, PreprocessSettings


def plain(size: int, fit: Fit = "crop") -> PreprocessSettings:
    return PreprocessSettings(image_size=size, fit=fit, denoise="none", clahe=False, clahe_grid=1)


def blob(size: int, top: int, left: int, height: int = 1, width: int = 1) -> np.ndarray:
    heatmap = np.zeros((size, size), np.float32)
    heatmap[top : top + height, left : left + width] = 1
    return heatmap


def test_the_hottest_window_has_the_blob_in_its_middle() -> None:
    # Windows of 4 with rows 4 and 5 begin at 2, 3 or 4; those with columns 2 and 3 at 0, 1 or 2.
    assert hottest_window(blob(8, 4, 2, 2, 2), 0.5) == Window(3 / 8, 1 / 8, 0.5)
    assert hottest_window(blob(8, 0, 7), 0.5) == Window(0, 4 / 8, 0.5)


def test_a_constant_map_gives_the_central_window() -> None:
    assert hottest_window(np.zeros((8, 8), np.float32), 0.5) == central_window(0.5) == Window(0.25, 0.25, 0.5)
    assert hottest_window(np.ones((9, 9), np.float32), 1.0) == Window(0, 0, 1)


@given(st.integers(0, 2**32), st.sampled_from([0.3, 0.5, 0.75]))
def test_no_window_contains_more_of_the_map(seed: int, side: float) -> None:
    heatmap = np.random.default_rng(seed).random((12, 12), np.float32)
    pixels = round(side * 12)
    places = range(13 - pixels)
    every = [heatmap[y : y + pixels, x : x + pixels].sum() for y in places for x in places]
    assert hottest_window(heatmap, side).cut(heatmap).sum() == pytest.approx(max(every), rel=1e-5)


@given(st.integers(0, 2**32), st.floats(0.1, 1), st.integers(5, 64))
def test_every_window_lies_within_the_image(seed: int, side: float, size: int) -> None:
    heatmap = np.random.default_rng(seed).random((size, size), np.float32)
    for window in (
        random_window(np.random.default_rng(seed), side),
        central_window(side),
        hottest_window(heatmap, side),
    ):
        assert window.cut(heatmap).shape == (max(1, round(side * size)),) * 2


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_whole_window_is_the_first_view(fit: Fit) -> None:
    settings = plain(32, fit)
    photograph = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert np.array_equal(
        second_view(photograph, Window(0, 0, 1), settings), preprocess(photograph, settings).image
    )


def test_the_second_view_is_cut_from_the_centred_square_of_the_photograph() -> None:
    settings = plain(32)
    photograph = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    # Half of the square of 64 that begins at column 16, at the network's own size: these very pixels.
    seen = second_view(photograph, Window(0.25, 0.5, 0.5), settings)
    assert np.array_equal(seen, photograph[16:48, 16 + 32 : 16 + 64])


def test_a_padded_photographs_window_may_contain_its_mirrored_margin() -> None:
    settings = plain(48, "pad")
    photograph = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    seen = second_view(photograph, Window(0, 0, 0.5), settings)
    assert np.array_equal(seen[16:], photograph[:32, :48])
    assert np.array_equal(seen[:16], photograph[16:0:-1, :48])
