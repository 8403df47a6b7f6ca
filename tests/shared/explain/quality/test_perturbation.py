"""Perturbation measures on predictors whose curves, drop and increase are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Heatmap
from dermafed.shared.explain.quality.perturbation import (
    NEUTRAL,
    ConfidenceChange,
    area,
    blurred,
    causal_curves,
    confidence_change,
    masked,
    ranking,
)
from tests.shared.explain.quality.toy_models import (
    QUADRANT,
    SIDE,
    checkerboard,
    on_quadrant,
    random_image,
    redness,
    two_classes,
    white,
)


def test_deletion_of_the_quadrant_that_counts() -> None:
    curve = causal_curves(redness, white(), on_quadrant(), 0, steps=8).deletion
    gone = float(NEUTRAL[0]) / 255
    np.testing.assert_allclose(curve, [1, (1 + gone) / 2, *[gone] * 7], rtol=1e-6)


def test_worked_example_of_deletion_auc_and_the_worst_map() -> None:
    gone = float(NEUTRAL[0]) / 255
    best = causal_curves(redness, white(), on_quadrant(), 0, steps=4).deletion_auc
    worst = causal_curves(redness, white(), 1 - on_quadrant(), 0, steps=4).deletion_auc
    # One of the four steps removes the quadrant: the first, or the last.
    assert best == pytest.approx((0.5 * (1 + gone) + 3 * gone) / 4, rel=1e-6)
    assert worst == pytest.approx((3 + 0.5 * (1 + gone)) / 4, rel=1e-6)


def test_insertion_counts_the_pixels_that_came_back() -> None:
    image = checkerboard()

    def restored(images: NDArray[np.float32]) -> NDArray[np.float32]:
        same = (np.abs(images - image) < 0.5).all(axis=3)
        return two_classes(same[:, *QUADRANT].mean(axis=(1, 2)))

    curves = causal_curves(restored, image, on_quadrant(), 0, steps=8)
    np.testing.assert_allclose(curves.insertion, [0, 0.5, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(curves.deletion, [1, 0.5, 0, 0, 0, 0, 0, 0, 0])
    assert curves.insertion_auc == 7 / 8
    assert curves.deletion_auc == 1 / 8
    other = causal_curves(restored, image, on_quadrant(), 1, steps=8)
    np.testing.assert_allclose(other.insertion, 1 - curves.insertion)


def test_the_curves_are_those_of_a_pixel_by_pixel_loop() -> None:
    image, random = random_image(1), np.random.default_rng(2)
    heatmap = (random.permutation(SIDE * SIDE).reshape(SIDE, SIDE) / 64).astype(np.float32)
    weights = random.uniform(size=(SIDE, SIDE, 3))

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return two_classes((images * weights).mean(axis=(1, 2, 3)) / 255)

    deleted, inserted = image.astype(np.float32), blurred(image.astype(np.float32))
    expected = [[predict(deleted[None])[0, 0]], [predict(inserted[None])[0, 0]]]
    for pixel in np.argsort(-heatmap.ravel()):
        place = np.unravel_index(pixel, heatmap.shape)
        deleted[place], inserted[place] = NEUTRAL, image[place]
        expected[0].append(predict(deleted[None])[0, 0])
        expected[1].append(predict(inserted[None])[0, 0])
    curves = causal_curves(predict, image, heatmap, 0, steps=64)
    np.testing.assert_allclose([curves.deletion, curves.insertion], expected, rtol=1e-6)


def test_all_steps_are_predicted_at_once() -> None:
    calls: list[tuple[int, ...]] = []

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(images.shape)
        assert images.dtype == np.float32
        return redness(images)

    causal_curves(predict, white(), on_quadrant(), 0, steps=5)
    assert calls == [(12, SIDE, SIDE, 3)]


def test_area() -> None:
    assert area(np.array([0.0, 1.0])) == 0.5
    assert area(np.array([1.0, 1.0, 0.0])) == 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 7, 32, 100]), st.integers(0, 3))
def test_areas_are_shares(seed: int, steps: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    heatmap = (random.integers(0, levels + 1, (SIDE, SIDE)) / 3).astype(np.float32)
    curves = causal_curves(redness, random_image(seed), heatmap, int(seed % 2), steps=steps)
    assert 0 <= curves.deletion_auc <= 1
    assert 0 <= curves.insertion_auc <= 1
    assert len(curves.deletion) == len(curves.insertion) == steps + 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 12))
def test_a_ranking_is_a_permutation_that_never_rises(seed: int, height: int, width: int) -> None:
    heatmap = (np.random.default_rng(seed).integers(0, 3, (height, width)) / 2).astype(np.float32)
    order = ranking(heatmap)
    assert sorted(order) == list(range(height * width))
    assert (np.diff(heatmap.ravel()[order]) <= 0).all()
    np.testing.assert_array_equal(order, ranking(heatmap.copy()))


@pytest.mark.parametrize("rows", [np.s_[:28], np.s_[28:]])
@pytest.mark.parametrize("columns", [np.s_[:28], np.s_[28:]])
def test_a_constant_map_gets_chance_level(rows: slice, columns: slice) -> None:
    """Wherever the quadrant lies that counts, between the best map and the worst one."""
    gone = float(NEUTRAL[0]) / 255
    image = np.full((56, 56, 3), 255, np.uint8)

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return two_classes(images[:, rows, columns, 0].mean(axis=(1, 2)) / 255)

    constant = causal_curves(predict, image, np.full((56, 56), 0.3, np.float32), 0)
    assert constant.deletion_auc == pytest.approx((1 + gone) / 2, abs=0.02)


def test_ties_are_regions_that_jump_about() -> None:
    order = ranking(np.zeros((56, 56), np.float32)).reshape(49, 64)
    rows, columns = np.unravel_index(order, (56, 56))
    assert (np.ptp(rows, axis=1) == 7).all()
    assert (np.ptp(columns, axis=1) == 7).all()
    jumps = np.hypot(np.diff(rows[:, 0]), np.diff(columns[:, 0]))
    assert jumps.min() > 8


@pytest.mark.parametrize(
    ("heatmap", "message"),
    [
        (np.zeros((4, 4), np.float32), "does not fit"),
        (np.full((SIDE, SIDE), 1.5, np.float32), "outside"),
        (np.full((SIDE, SIDE), np.nan, np.float32), "outside"),
    ],
)
def test_impossible_maps_are_refused(heatmap: NDArray[np.float32], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        causal_curves(redness, white(), heatmap, 0)


def test_a_signed_map_ranks_by_its_sign_and_shows_only_what_speaks_for_the_class() -> None:
    heatmap = np.zeros((SIDE, SIDE), np.float32)
    heatmap[0, :3] = -1, 1, 0.5
    assert (ranking(heatmap)[:2].tolist(), ranking(heatmap)[-1]) == ([1, 2], 0)
    shown = masked(white(), heatmap, shown=1)
    assert shown[0, 0] == pytest.approx(NEUTRAL)
    assert shown[0, 1] == pytest.approx(255)


def test_impossible_images_are_refused() -> None:
    with pytest.raises(ValueError, match="not uint8"):
        causal_curves(redness, white().astype(np.float32), on_quadrant(), 0)


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
    chattopadhyay = confidence_change(whole_redness, white(), two_halves(), 0, shown=1)
    assert chattopadhyay.drop == pytest.approx((1 - GONE) / 4, rel=1e-5)


def test_an_increase_is_not_a_drop() -> None:
    dark = np.zeros_like(white())
    assert confidence_change(whole_redness, dark, two_halves(), 0) == ConfidenceChange(0.0, True)


def test_the_whole_image_neither_drops_nor_increases() -> None:
    everything = np.ones((SIDE, SIDE), np.float32)
    change = confidence_change(whole_redness, random_image(0), everything, 0, shown=1)
    assert change.drop == pytest.approx(0, abs=1e-6)


def test_a_class_of_probability_0_does_not_drop() -> None:
    nothing = confidence_change(
        lambda images: np.zeros((len(images), 2), np.float32), white(), two_halves(), 1
    )
    assert nothing == ConfidenceChange(0.0, False)


def test_masked_pixels() -> None:
    image = random_image(1)
    shown = masked(image, two_halves(), shown=0.5)
    np.testing.assert_allclose(shown[: SIDE // 2], image[: SIDE // 2], rtol=1e-6)
    np.testing.assert_allclose(shown[SIDE // 2 :], np.broadcast_to(NEUTRAL, (SIDE // 2, SIDE, 3)))
    assert shown.dtype == np.float32


def test_the_map_is_not_changed() -> None:
    heatmap = two_halves()
    masked(white(), heatmap, shown=0.5)
    np.testing.assert_array_equal(heatmap, two_halves())
