"""Mirrored views: which pixels they are, and the mean of their logits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from dermafed.shared.model.mirrored_views import mean_logits, mean_prediction, mirrored


def test_the_views_are_the_image_and_its_mirror_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    for view, code in (
        (1, 1),
        (2, 0),
        (3, -1),
    ):  # OpenCV: around the vertical axis, the horizontal, both
        for image, turned in zip(images, mirrored(images, view), strict=True):
            np.testing.assert_array_equal(turned, cv2.flip(image, code))
        np.testing.assert_array_equal(mirrored(images[0], view), cv2.flip(images[0], code))
    np.testing.assert_array_equal(mirrored(images, 0), images)


def test_worked_example_of_two_views() -> None:
    views = [np.array([[0.5, 0.5]], np.float32), np.array([[0.9, 0.1]], np.float32)]
    np.testing.assert_allclose(mean_prediction(views), [[0.75, 0.25]], atol=1e-6)


@given(seed=st.integers(0, 99), views=st.integers(1, 4), classes=st.integers(2, 5))
def test_they_are_the_probabilities_of_the_mean_logits(seed: int, views: int, classes: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (views, 3, classes)).astype(np.float32)
    expected = softmax(logits.mean(axis=0), axis=-1)
    found = mean_prediction([softmax(one, axis=-1) for one in logits])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mean_logits(list(logits)), logits.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_one_view_is_as_it_is() -> None:
    alone = np.array([[0.3, 0.7]], np.float32)
    assert mean_prediction([alone]) is alone
    assert mean_logits([alone]) is alone


def test_a_class_without_probability_has_little_and_nan_stays() -> None:
    certain = np.array([[1.0, 0.0]], np.float32)
    assert np.isfinite(mean_prediction([certain, certain])).all()
    lost = np.array([[np.nan, np.nan]], np.float32)
    assert np.isnan(mean_prediction([lost, certain])).all()


@pytest.mark.parametrize("views", [0, 5, 1.5])
def test_impossible_numbers_of_views_are_refused(views: object) -> None:
    from dermafed.shared.errors import SettingsError
    from dermafed.shared.model.model_settings import ModelSettings

    with pytest.raises(SettingsError, match="views_at_test"):
        ModelSettings(("a", "b"), views_at_test=views)  # type: ignore[arg-type]
