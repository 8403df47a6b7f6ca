"""Score-CAM against the same written out one mask at a time, and what is true of every map."""

from __future__ import annotations

from itertools import product

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import activation_maps, enlarge, to_unit
from dermafed.shared.explain.network import Target
from dermafed.shared.explain.score_cam import CONVENTIONS, Convention, ScoreCam, exact_score_cam
from dermafed.shared.imaging.decoding import read_image
from tests.shared.explain.small_networks import SIDE, naive_score_cam, small_classifier, small_image, unit
from tests.shared.imaging.real_images import ham_paths, needs_real_images

EVERY = [
    Convention(basis, score, fill, increase, softmax)
    for basis, score, fill, (increase, softmax) in product(
        ("masks", "signed", "rectified"),
        ("logit", "probability"),
        ("black", "mean", "blurred"),
        ((True, True), (True, False), (False, False)),
    )
]
ACTIVATIONS = arrays(np.float32, (3, 4, 6), elements=st.floats(-4, 4, width=16))
SIZE = (30, 21)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return small_classifier()


@pytest.fixture(scope="module")
def traced(classifier: keras.Model) -> Explainer:
    return Explainer(classifier, engine="tensorflow")


def explainer_of(traced: Explainer, classifier: keras.Model, convention: Convention) -> Explainer:
    """Another explainer of the same classifier, which shares the traced engine."""
    explainer = Explainer(classifier, convention=convention)
    vars(explainer.opened)["engine"] = traced.opened.engine
    return explainer


@pytest.mark.parametrize("convention", EVERY, ids=str)
def test_exact_is_what_one_mask_at_a_time_gives(
    classifier: keras.Model, traced: Explainer, convention: Convention
) -> None:
    image, target = small_image(2), Target(2, 0 if convention.increase else None)
    expected = naive_score_cam(classifier, "last", image, convention, target)
    found = explainer_of(traced, classifier, convention).explain(
        image, method="scorecam-exact", target=target.index, against=target.against
    )
    assert (found.low, found.high) == pytest.approx((expected.min(), expected.max()), abs=1e-4)
    assert found.heatmap == pytest.approx(unit(expected), abs=1e-4)
    assert not found.constant


@needs_real_images
@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_same_on_a_real_image(classifier: keras.Model, traced: Explainer, name: str) -> None:
    image = cv2.resize(read_image(ham_paths(1)[0]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    expected = naive_score_cam(classifier, "last", image, CONVENTIONS[name], Target(1))
    explainer = explainer_of(traced, classifier, CONVENTIONS[name])
    found = explainer.explain(image, method="scorecam-exact", target=1)
    assert found.heatmap == pytest.approx(unit(expected), abs=1e-4)


@given(ACTIVATIONS)
def test_masks_lie_in_the_unit_interval_and_reach_both_ends_once_enlarged(
    activations: NDArray[np.float32],
) -> None:
    maps = activation_maps(activations, SIZE)
    for raw, mask in zip(maps.raw, maps.masks, strict=True):
        assert enlarge(mask, SIZE).min() == pytest.approx(0, abs=1e-4)
        assert enlarge(mask, SIZE).max() == pytest.approx(1, abs=1e-4)
        by_opencv = cv2.resize(raw, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        assert enlarge(raw, SIZE) == pytest.approx(by_opencv, abs=1e-5)


def test_constant_maps_are_left_out() -> None:
    activations = np.zeros((3, 4, 3), np.float32)
    activations[..., 1] = 7.1
    activations[1, 2, 2] = 1
    assert len(activation_maps(activations, SIZE).raw) == 1


def raw_by_brightness(activations: NDArray[np.float32], convention: Convention) -> NDArray[np.float32]:
    """Score-CAM of a network whose score grows with the mask, before it is scaled to [0, 1]."""
    maps = activation_maps(activations, SIZE)
    return exact_score_cam(ScoreCam(maps, lambda masks: masks.mean((1, 2))[:, None], Target(0), convention))


def by_brightness(activations: NDArray[np.float32], convention: Convention) -> NDArray[np.float32]:
    return to_unit(raw_by_brightness(activations, convention))


@settings(max_examples=40)
@given(ACTIVATIONS, st.sampled_from(EVERY), st.randoms(use_true_random=False))
def test_maps_lie_in_the_unit_interval_and_do_not_depend_on_the_channels_order(
    activations: NDArray[np.float32], convention: Convention, random: object
) -> None:
    activations[0, 0] += np.arange(6, dtype=np.float32)  # no two maps, nor all, are constant
    heatmap = by_brightness(activations, convention)
    assert heatmap.min() >= 0
    assert heatmap.max() <= 1
    order = np.random.default_rng(random.randint(0, 99)).permutation(6)  # type: ignore[attr-defined]
    # Where the channels cancel, rounding is all that is left to scale, and it depends on the order.
    if np.ptp(raw_by_brightness(activations, convention)) > 1e-3 * np.abs(activations).max():
        assert by_brightness(activations[..., order], convention) == pytest.approx(heatmap, abs=1e-3)


@settings(max_examples=40)
@given(ACTIVATIONS, st.sampled_from([2.0, 0.25, 16.0]))
def test_maps_do_not_depend_on_the_scale_of_the_activations(
    activations: NDArray[np.float32], scale: float
) -> None:
    activations[0, 0] += np.arange(6, dtype=np.float32)
    for convention in EVERY[::9]:
        assert np.array_equal(
            by_brightness(activations, convention),
            by_brightness(activations * np.float32(scale), convention),
        )


@pytest.mark.parametrize("values", [(0.0, 0.0), (3.0, 3.0), (np.nan, 1.0), (np.inf, 1.0), (5.0, 5.0000002)])
def test_a_constant_map_is_zero_everywhere(values: tuple[float, float]) -> None:
    assert not to_unit(np.array([values], np.float32)).any()
