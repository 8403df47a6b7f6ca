"""Drop and increase of a predictor that reads the whole image's redness."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.explain.quality.confidence import ConfidenceChange, confidence_change, masked
from dermafed.shared.explain.quality.interfaces import NEUTRAL, Heatmap
from tests.shared.explain.quality.making import SIDE, random_image, two_classes, white

GONE = float(NEUTRAL[0]) / 255


def whole_redness(images: NDArray[np.float32]) -> NDArray[np.float32]:
    return two_classes(images[..., 0].mean(axis=(1, 2)) / 255)


def two_halves() -> Heatmap:
    heatmap = np.ones((SIDE, SIDE), np.float32)
    heatmap[SIDE // 2 :] = 0.5
    return heatmap


def test_drop_by_both_protocols() -> None:
    wang = confidence_change(whole_redness, white(), two_halves(), 0)
    assert wang.drop == pytest.approx((1 - GONE) / 2, rel=1e-5)
    assert not wang.increase
    chattopadhyay = confidence_change(whole_redness, white(), two_halves(), 0, kept=1)
    assert chattopadhyay.drop == pytest.approx((1 - GONE) / 4, rel=1e-5)


def test_an_increase_is_no_drop() -> None:
    dark = np.zeros_like(white())
    assert confidence_change(whole_redness, dark, two_halves(), 0) == ConfidenceChange(0.0, True)


def test_the_whole_image_neither_drops_nor_increases() -> None:
    everything = np.ones((SIDE, SIDE), np.float32)
    change = confidence_change(whole_redness, random_image(0), everything, 0, kept=1)
    assert change.drop == pytest.approx(0, abs=1e-6)


def test_a_class_of_probability_0_has_nothing_to_lose() -> None:
    nothing = confidence_change(
        lambda images: np.zeros((len(images), 2), np.float32), white(), two_halves(), 1
    )
    assert nothing == ConfidenceChange(0.0, False)


def test_masked_pixels() -> None:
    image = random_image(1)
    shown = masked(image, two_halves(), kept=0.5)
    np.testing.assert_allclose(shown[: SIDE // 2], image[: SIDE // 2], rtol=1e-6)
    np.testing.assert_allclose(shown[SIDE // 2 :], np.broadcast_to(NEUTRAL, (SIDE // 2, SIDE, 3)))
    assert shown.dtype == np.float32


def test_the_map_is_left_as_it_was() -> None:
    heatmap = two_halves()
    masked(white(), heatmap, kept=0.5)
    np.testing.assert_array_equal(heatmap, two_halves())
