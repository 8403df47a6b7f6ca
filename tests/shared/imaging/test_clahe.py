"""CLAHE touches lightness and leaves colour alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dermafed.shared.imaging.clahe import clahe
from dermafed.shared.imaging.decoding import read_image
from tests.shared.imaging.real_images import ham_paths, needs_real_images


def lab(image: np.ndarray) -> np.ndarray:
    """CIELAB by another path than the code's: float32, a* and b* in their own units."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def test_the_argument_is_left_alone_and_the_result_is_uint8_rgb() -> None:
    image = np.random.default_rng(0).integers(90, 110, (64, 64, 3), dtype=np.uint8)
    before = image.copy()
    result = clahe(image, 2.0, 8)
    assert np.array_equal(image, before)
    assert result.shape == image.shape
    assert result.dtype == np.uint8


def test_contrast_grows_with_the_clip_limit() -> None:
    ramp = np.linspace(100, 130, 64 * 64).reshape(64, 64).astype(np.uint8)
    image = np.stack([ramp] * 3, axis=2)
    spread = [clahe(image, clip, 4).std() for clip in (1.0, 2.0, 8.0)]
    assert spread == sorted(spread)
    assert spread[-1] > 1.5 * spread[0]


def test_a_gray_image_stays_gray() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8)
    result = clahe(np.repeat(gray, 3, axis=2), 2.0, 8)
    assert np.ptp(result.astype(int), axis=2).max() <= 1


@needs_real_images
def test_colours_of_real_images_hardly_move() -> None:
    for path in ham_paths(6):
        image = read_image(path)
        result = clahe(image, 2.0, 8)
        change = np.abs(lab(result) - lab(image)).mean(axis=(0, 1))
        assert change[1:].max() < 1.0
        assert change[0] > 3 * change[1:].max()


def test_any_side_is_accepted() -> None:
    for side in (32, 45, 227):
        assert clahe(np.full((side, side, 3), 100, np.uint8), 2.0, 4).shape == (side, side, 3)


@pytest.mark.parametrize("value", [0, 60, 200, 255])
def test_a_constant_image_stays_constant(value: int) -> None:
    result = clahe(np.full((64, 64, 3), value, np.uint8), 2.0, 8)
    assert np.ptp(result.astype(int)) <= 1
