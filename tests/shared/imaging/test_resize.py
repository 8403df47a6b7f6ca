"""Resizing: shape, content and aspect ratio."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.imaging.preprocess_settings import Fit
from dermafed.shared.imaging.resize import resize

sides = st.integers(1, 90)


@given(height=sides, width=sides, size=st.sampled_from([32, 45]), fit=st.sampled_from(get_args(Fit)))
def test_any_shape_becomes_the_square_and_a_constant_stays(
    height: int, width: int, size: int, fit: Fit
) -> None:
    result = resize(np.full((height, width, 3), (200, 120, 30), np.uint8), size, fit)
    assert result.shape == (size, size, 3)
    assert result.dtype == np.uint8
    assert (result == (200, 120, 30)).all()


@pytest.mark.parametrize("fit", get_args(Fit))
def test_an_image_of_the_right_size_is_copied(fit: Fit) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    result = resize(image, 32, fit)
    assert np.array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_shrinking_averages_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    means = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, 32, "crop") - means).max() <= 0.5


def test_crop_selects_the_centre() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    assert np.array_equal(resize(image, 32, "crop"), image[:, 8:40])
    upright = image.transpose(1, 0, 2)
    assert np.array_equal(resize(upright, 32, "crop"), upright[8:40])


def test_pad_includes_everything_and_mirrors_the_margin() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    result = resize(image, 32, "pad")
    assert np.array_equal(result[4:28], image)
    assert np.array_equal(result[:4], image[4:0:-1])
    assert np.array_equal(result[28:], image[-2:-6:-1])


@pytest.mark.parametrize("fit", get_args(Fit))
def test_a_disc_stays_round(fit: Fit) -> None:
    y, x = np.mgrid[:300, :400]
    disc = ((y - 150) ** 2 + (x - 200) ** 2 < 80**2).astype(np.uint8)[..., None] * np.full(3, 255, np.uint8)
    inside = resize(disc, 96, fit)[..., 0] > 127
    height, width = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    expected = 160 * 96 / (300 if fit == "crop" else 400)
    assert abs(height - expected) <= 1.5
    assert abs(width - expected) <= 1.5


@pytest.mark.parametrize("shape", [(1, 60000, 3), (60000, 1, 3), (1, 1, 3)])
@pytest.mark.parametrize("fit", get_args(Fit))
def test_extreme_shapes(shape: tuple[int, int, int], fit: Fit) -> None:
    assert resize(np.full(shape, 9, np.uint8), 64, fit).shape == (64, 64, 3)
