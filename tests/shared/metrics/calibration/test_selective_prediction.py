from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from dermafed.shared.metrics.calibration.reliability import BINS, ConfidenceBins
from dermafed.shared.metrics.calibration.selective_prediction import select
from tests.shared.metrics.calibration.sample_calibration import drawn


def test_worked_example() -> None:
    top = [0.95, 0.9, 0.8, 0.7, 0.6]
    probabilities = np.array([[each, 1 - each] for each in top])
    labels = np.array([0, 1, 0, 0, 1])
    rule = select(ConfidenceBins.count(labels, probabilities), 0.8)
    assert rule.threshold == pytest.approx(42 / 60)  # 0.7 is the fourth of five
    assert (rule.coverage, rule.risk) == (0.8, 0.25)
    assert (rule.sure, rule.found) == ((3, 1), (1.0, 0.0))
    assert [rule.unsure(each) for each in top] == [False] * 4 + [True]


def test_a_class_without_a_sure_image_has_no_share() -> None:
    rule = select(ConfidenceBins.count(np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]])), 1.0)
    assert (rule.sure, rule.found) == ((2, 0), (1.0, None))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([1, 8, 300]), st.sampled_from([0.1, 0.5, 0.8, 1.0]))
def test_coverage_and_risk_are_those_of_the_images(seed: int, count: int, coverage: float) -> None:
    logits, labels = drawn(count, seed)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    rule = select(ConfidenceBins.count(labels, probabilities), coverage)
    sure = np.array([not rule.unsure(row.max()) for row in probabilities])
    assert sure.mean() == pytest.approx(rule.coverage)
    assert rule.coverage >= coverage
    assert (probabilities[sure].argmax(axis=1) != labels[sure]).mean() == pytest.approx(rule.risk)
    # The next higher edge would not do.
    assert (probabilities.max(axis=1) >= rule.threshold + 1.000001 / BINS).mean() < coverage
