"""Linear discriminants from sums: by hand, against scikit-learn, and over clinics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from scipy.spatial.distance import pdist
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.training.exact_head.discriminants import class_moments, discriminants
from dermafed.shared.training.exact_head.head_sums import HeadSums

Floats = NDArray[np.float64]


def images(
    seed: int, count: int = 120, features: int = 6, classes: int = 3
) -> tuple[Floats, NDArray[np.int64]]:
    """Features of another mean in each class, correlated, of unlike scales."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    means, mixing = rng.normal(size=(classes, features)), rng.normal(size=(features, features))
    scales = 10.0 ** rng.integers(-2, 3, features)
    return (means[labels] + rng.normal(size=(count, features)) @ mixing) * scales, labels


def sums(features: Floats, labels: NDArray[np.int64], classes: int = 3) -> HeadSums:
    return HeadSums.of(features, labels, np.ones(classes))


def test_two_classes_by_hand() -> None:
    # Means (-1, 0) and (1, 0); within classes variance 1 in both features and no covariance.
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1.0]])
    step = np.array([1, 0])
    features = np.concatenate([corners - step, corners + step])
    found = sums(features, np.repeat([0, 1], 4), 2)
    means, shares, within = class_moments(found)
    assert np.allclose(means, [[-1, 1], [0, 0]])
    assert np.allclose(shares, 0.5)
    assert np.allclose(within, np.eye(2))
    # With a ridge of 1 the first feature has variance 2: the direction is 1 / sqrt(2).
    assert np.allclose(np.abs(discriminants(found, 1.0)), [[2**-0.5], [0]], atol=1e-12)


def test_distances_are_those_of_scikit_learn() -> None:
    features, labels = images(1)
    ours = features @ discriminants(sums(features, labels), 1e-10)
    theirs = LinearDiscriminantAnalysis(solver="svd", tol=1e-12).fit(features, labels).transform(features)
    # Up to one factor: versions of scikit-learn divide the scatter within classes by n or by n - C.
    ratio = pdist(ours) / pdist(theirs)
    assert np.allclose(ratio, ratio[0], rtol=1e-5)
    assert ratio[0] == pytest.approx(1, abs=0.02)


def test_with_a_ridge_the_space_is_that_of_scikit_learns_shrinkage() -> None:
    features, labels = images(2)
    _, _, within = class_moments(sums(features, labels))
    features = features / np.sqrt(np.diag(within))
    # S + r I is in proportion to (1 - s) S + s I for s = r / (1 + r).
    shrunk = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.6).fit(features, labels)
    ours = discriminants(sums(features, labels), 1.5)
    assert ours.shape == (6, 2)
    assert subspace_angles(ours, (shrunk.coef_[1:] - shrunk.coef_[0]).T).max() < 1e-6


@given(st.integers(0, 10_000), st.sampled_from([0.01, 1.0, 10.0]))
def test_the_ridged_covariance_within_classes_becomes_the_identity(seed: int, ridge: float) -> None:
    found = sums(*images(seed))
    _, _, within = class_moments(found)
    directions = discriminants(found, ridge)
    penalised = within + ridge * np.diag(np.diag(within))
    assert np.allclose(directions.T @ penalised @ directions, np.eye(2), atol=1e-7)


def test_clinics_together_give_what_pooling_gives() -> None:
    features, labels = images(3)
    parts = [sums(features[part], labels[part]) for part in np.split(np.arange(120), [17, 60])]
    together = features @ discriminants(parts[0] + parts[1] + parts[2], 1.0)
    assert np.allclose(
        pdist(together), pdist(features @ discriminants(sums(features, labels), 1.0)), rtol=1e-8
    )


def test_weights_of_classes_count() -> None:
    features, labels = images(4, classes=2)
    doubled = np.concatenate([features, features[labels == 1]]), np.concatenate([labels, labels[labels == 1]])
    by_weight = discriminants(HeadSums.of(features, labels, np.array([1.0, 2.0])), 1.0)
    assert np.allclose(np.abs(by_weight), np.abs(discriminants(sums(*doubled, 2), 1.0)))


@pytest.mark.parametrize("kept", [[0], [0, 2]])
def test_classes_without_images_span_nothing(kept: list[int]) -> None:
    features, labels = images(5)
    chosen = np.isin(labels, kept)
    assert discriminants(sums(features[chosen], labels[chosen]), 1.0).shape == (6, len(kept) - 1)


def test_a_feature_that_does_not_vary_within_classes_counts_for_nothing() -> None:
    features, labels = images(6)
    constant = np.c_[features, np.full(120, 3.7), labels]
    directions = discriminants(sums(constant, labels), 1.0)
    assert not directions[6:].any()
    assert np.allclose(np.abs(directions[:6]), np.abs(discriminants(sums(features, labels), 1.0)))


def test_what_cannot_be_used_is_refused() -> None:
    for ridge in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(SettingsError, match="ridge"):
            discriminants(sums(*images(7)), ridge)
    with pytest.raises(FederationError, match="no image"):
        discriminants(HeadSums.none(4, 3), 1.0)
