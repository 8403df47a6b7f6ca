"""The head by sums, held to scikit-learn's on all images in one place."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from dermafed.shared.errors import DatasetError, FederationError, ModelError, SettingsError
from dermafed.shared.training.exact_head.head_sums import (
    HeadSums,
    check_enough_images,
    from_triangle,
    sum_up,
    to_triangle,
    weights_of_common,
)
from dermafed.shared.training.exact_head.ridge import ridge_head

Array = np.ndarray[Any, Any]
WEIGHTS = np.array([3.0, 0.5, 1.5])


def images(count: int, seed: int = 0, features: int = 6) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    shown = rng.normal(0, 1, (count, features)) * np.arange(1, features + 1) + 10 * rng.normal(size=features)
    shown[:, :3] += 2 * np.eye(3)[labels]
    return shown.astype(np.float32), labels


def by_sklearn(features: Array, labels: Array, ridge: float, weights: Array) -> Ridge:
    """Ridge of features standardised by their weighted moments."""
    n = weights.sum()
    return Ridge(alpha=ridge * n, solver="svd").fit(
        features, 2 * np.eye(3)[labels] - 1, sample_weight=weights
    )


def standardised(features: Array, weights: Array) -> Array:
    exact = features.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weights)
    return np.asarray((exact - mean) / np.sqrt(np.average((exact - mean) ** 2, axis=0, weights=weights)))


def test_two_images_by_hand() -> None:
    """phi = (2, 1) of class 0 with weight 3, (4, 1) of class 1 with weight 1/2."""
    sums = HeadSums.of(np.array([[2.0], [4.0]]), np.array([0, 1]), WEIGHTS)
    assert sums.gram.tolist() == [[3 * 4 + 0.5 * 16, 3 * 2 + 0.5 * 4], [8.0, 3.5]]
    assert sums.targets.tolist() == [[6 - 2, -6 + 2, -6 - 2], [2.5, -2.5, -3.5]]
    assert sums.counts.tolist() == [1, 1, 0]
    sums.validate(3)
    assert sums.class_weights[:2].tolist() == [3.0, 0.5]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 9999),
    st.lists(st.integers(1, 60), min_size=2, max_size=5),
    st.sampled_from([0.01, 0.3, 1.0]),
)
def test_clinics_give_what_sklearn_gives_of_all_images(seed: int, counts: list[int], ridge: float) -> None:
    features, labels = images(sum(counts) + 20, seed)
    parts = np.split(np.arange(len(labels)), np.cumsum(counts))
    merged = reduce(add, (HeadSums.of(features[part], labels[part], WEIGHTS) for part in parts))
    head = ridge_head(merged, ridge)
    weights = WEIGHTS[labels]
    shown = standardised(features, weights)
    expected = by_sklearn(shown, labels, ridge, weights).predict(shown)
    assert head.scores(features) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    pooled = ridge_head(HeadSums.of(features, labels, WEIGHTS), ridge)
    assert head.kernel == pytest.approx(pooled.kernel, rel=1e-6, abs=1e-12)
    merged.validate(3)


def test_least_squares_and_features_that_never_change() -> None:
    features, labels = images(50)
    features = np.c_[features, np.full(50, 7.0, np.float32)]
    head = ridge_head(HeadSums.of(features, labels, WEIGHTS), 0.0)
    expected = by_sklearn(features[:, :-1].astype(float), labels, 0.0, WEIGHTS[labels])
    assert head.scores(features) == pytest.approx(expected.predict(features[:, :-1].astype(float)), abs=1e-6)
    assert (head.kernel[-1] == 0).all()


def test_batches_one_at_a_time_give_the_same() -> None:
    features, labels = images(70)
    batches = ((features[i : i + 16], labels[i : i + 16]) for i in range(0, 70, 16))
    found, whole = sum_up(batches, 6, WEIGHTS), HeadSums.of(features, labels, WEIGHTS)
    assert found.gram == pytest.approx(whole.gram, rel=1e-12)
    assert found.counts.tolist() == whole.counts.tolist()
    assert found.gram.dtype == np.float64
    assert sum_up([], 6, WEIGHTS).images == 0


def test_a_rare_class_is_in_no_sum() -> None:
    features, labels = images(15)[0], np.array([1] * 6 + [2] * 5 + [0] * 4)
    weights = weights_of_common(labels, WEIGHTS)
    assert weights.tolist() == [0.0, 0.5, 1.5]
    sent = HeadSums.of(features, labels, weights)
    assert (sent.gram == HeadSums.of(features[:11], labels[:11], WEIGHTS).gram).all()
    assert sent.counts.tolist() == [0, 6, 5]
    sent.validate(3)


def test_a_clinic_with_few_images_sends_no_sums() -> None:
    check_enough_images(50, 50)
    for images_there, least in ((49, 50), (1, 50), (0, 0)):
        with pytest.raises(DatasetError, match=f"{images_there} images are too few"):
            check_enough_images(images_there, least)


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e9])
def test_features_that_are_no_numbers_are_refused(odd: float) -> None:
    features, labels = images(10)
    features[2, 2] = odd
    with pytest.raises(ModelError, match="features"):
        HeadSums.of(features, labels, WEIGHTS)


def test_singular_sums_need_a_ridge() -> None:
    sums = HeadSums.of(*images(4), WEIGHTS)
    with pytest.raises(FederationError, match="singular"):
        ridge_head(sums, 0.0)
    assert np.isfinite(ridge_head(sums, 0.1).kernel).all()


def test_one_image_gives_a_head_without_slopes() -> None:
    head = ridge_head(HeadSums.of(*images(1), WEIGHTS), 0.1)
    assert (head.kernel == 0).all()


def test_no_image_and_impossible_settings_are_refused() -> None:
    with pytest.raises(FederationError, match="no image"):
        ridge_head(HeadSums.none(6, 3), 0.1)
    sums = HeadSums.of(*images(40), WEIGHTS)
    for value in (-0.1, np.nan, np.inf):
        with pytest.raises(SettingsError, match="ridge"):
            ridge_head(sums, value)


def test_a_triangle_is_the_whole_of_a() -> None:
    gram = HeadSums.of(*images(40), WEIGHTS).gram
    packed = to_triangle(gram)
    assert packed.shape == (28,)
    assert (from_triangle(packed, 7) == gram).all()


SUMS = HeadSums.of(*images(40), WEIGHTS)


@pytest.mark.parametrize(
    "changed",
    [
        {"gram": SUMS.gram[:-1, :-1]},
        {"gram": SUMS.gram * np.nan},
        {"gram": -SUMS.gram},
        {"gram": np.triu(SUMS.gram)},
        {"gram": SUMS.gram - np.diag([*[0.99 * SUMS.gram[0, 0]], *[0.0] * 6])},
        {"targets": SUMS.targets * 100},
        {"targets": SUMS.targets[:, :2]},
        {"counts": np.array([-1, 20, 21])},
        {"counts": np.zeros(3, np.int64)},
        {"counts": SUMS.counts.astype(float)},
    ],
)
def test_sums_that_no_images_give_are_refused(changed: dict[str, Any]) -> None:
    SUMS.validate(3)
    with pytest.raises(FederationError, match="refused"):
        replace(SUMS, **changed).validate(3)


def test_sums_of_other_features_do_not_add() -> None:
    with pytest.raises(FederationError, match="other features"):
        HeadSums.none(6, 3) + HeadSums.none(5, 3)
