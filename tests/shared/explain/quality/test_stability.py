"""Maps that move with the image, maps that do not, and constant maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from dermafed.shared.explain.quality.stability import (
    Stability,
    correlation,
    noisy,
    recompressed,
    shifted,
    stability,
)
from tests.shared.explain.quality.toy_models import centred, constant, darkness, random_image


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([8, 33, 64]))
def test_a_map_that_moves_with_the_image_is_stable(seed: int, side: int) -> None:
    image = random_image(seed, side)
    assert stability(darkness, image, darkness(image, 0), 0).shift == pytest.approx(1)


def test_a_map_that_stays_in_the_middle_is_not() -> None:
    image = random_image(0, 64)
    found = stability(centred, image, centred(image, 0), 0)
    assert found.shift < 0.99
    assert found.noise == found.jpeg == pytest.approx(1)


def test_noise_and_jpeg_move_a_map_of_noise() -> None:
    image = np.full((32, 32, 3), 128, np.uint8) + random_image(1, 32) // 64
    found = stability(darkness, image, darkness(image, 0), 0)
    assert found.noise < 0.5
    assert found.jpeg < 0.9


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_map_is_not_stable(value: float) -> None:
    image = random_image(2, 16)
    explain = constant(value)
    assert stability(explain, image, explain(image, 0), 0) == Stability(0.0, 0.0, 0.0)


def test_all_forms_are_explained_for_the_same_class() -> None:
    asked = []

    def explain(image: np.ndarray, target: int) -> np.ndarray:
        asked.append(target)
        return darkness(image, 0)

    stability(explain, random_image(3), darkness(random_image(3), 0), 1)
    assert asked == [1, 1, 1]


def test_correlation_is_pearsons() -> None:
    first, second = np.random.default_rng(0).uniform(size=(2, 5, 5)).astype(np.float32)
    assert correlation(first, second) == pytest.approx(pearsonr(first.ravel(), second.ravel()).statistic)
    assert correlation(first, 1 - first) == pytest.approx(-1)
    assert correlation(first, np.full((5, 5), 0.3, np.float32)) == 0


def test_changed_forms() -> None:
    image = random_image(4, 32)
    np.testing.assert_array_equal(shifted(image, 3)[3:, 3:], image[:-3, :-3])
    assert shifted(image, 3).shape == image.shape
    np.testing.assert_array_equal(noisy(image, 1), noisy(image, 1))
    assert not np.array_equal(noisy(image, 1), noisy(image, 2))
    assert np.std(noisy(np.full((99, 99, 3), 128, np.uint8), 0).astype(float)) == pytest.approx(5, rel=0.05)
    gray = np.full((16, 16, 3), 77, np.uint8)
    np.testing.assert_array_equal(recompressed(gray), gray)
    red = gray + np.array([90, 0, 0], np.uint8)
    assert np.abs(recompressed(red).astype(int) - red).max() <= 3
