from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.out_of_distribution import OutOfDistribution

K = 30


def features(count: int, seed: int, centre: float = 3.0) -> NDArray[np.float32]:
    """Positive features around a direction, half of them hardly varying."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(K) < K // 2, 0.5, 0.02)
    return np.maximum(centre + spread * rng.normal(size=(count, K)), 0).astype(np.float32)


def test_scores_are_scikit_learns_mahalanobis_distances() -> None:
    training, validation = features(200, 0), features(60, 1)
    rule = OutOfDistribution.fit(training, validation)
    unit = training / np.linalg.norm(training, axis=1, keepdims=True)
    exact = LedoitWolf().fit(unit.astype(np.float64))
    others = validation / np.linalg.norm(validation, axis=1, keepdims=True)
    expected = np.sqrt(exact.mahalanobis(others.astype(np.float64)) / K)
    assert rule.scores(validation) == pytest.approx(expected, rel=1e-3)


def test_the_threshold_lets_nineteen_of_twenty_validation_images_pass() -> None:
    validation = features(400, 1)
    rule = OutOfDistribution.fit(features(300, 0), validation)
    assert (rule.scores(validation) > rule.threshold).sum() == 19
    assert rule.images == 400


def test_a_change_where_nothing_varies_is_farther_than_a_larger_one_where_much_does() -> None:
    rule = OutOfDistribution.fit(features(300, 0), features(100, 1))
    usual, rare = np.full((2, K), 3.0, np.float32)
    usual[0] += 1.2
    rare[-1] += 1.0
    low, high = rule.scores(np.stack([usual, rare]))
    assert low < rule.threshold < high


def test_the_length_of_the_features_does_not_count() -> None:
    rule = OutOfDistribution.fit(features(100, 0), features(50, 1))
    one = features(1, 7)
    assert rule.scores(4 * one) == pytest.approx(rule.scores(one), rel=1e-4)


def test_features_that_are_all_zero_have_a_score() -> None:
    rule = OutOfDistribution.fit(features(100, 0), features(50, 1))
    assert rule.scores(np.zeros((1, K), np.float32))[0] > rule.threshold


def test_fewer_images_than_features_will_do() -> None:
    rule = OutOfDistribution.fit(features(21, 0), features(20, 1))
    assert np.isfinite(rule.scores(features(5, 2))).all()


@pytest.mark.parametrize(("training", "validation"), [(19, 50), (50, 19)])
def test_too_few_images_are_refused(training: int, validation: int) -> None:
    with pytest.raises(DatasetError, match="too few"):
        OutOfDistribution.fit(features(training, 0), features(validation, 1))
