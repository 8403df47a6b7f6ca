from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from dermafed.shared.metrics.classification import classification_report
from dermafed.shared.metrics.intervals import (
    clopper_pearson,
    over_trainings,
    resample,
    weighted_auc,
    wilson,
)
from tests.shared.metrics.test_classification import random_case


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I: 81/263, 15/148, 0/20, 1/29.
    for hits, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        interval = wilson(hits, trials)
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_without_trials() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_share(case: tuple[int, int]) -> None:
    interval = wilson(*case)
    assert interval is not None
    assert 0 <= interval.low <= case[0] / case[1] <= interval.high <= 1


@pytest.mark.parametrize("confidence", [0.95, 0.975])
@pytest.mark.parametrize(("hits", "trials"), [(0, 29), (29, 29), (3, 88), (1, 2)])
def test_clopper_pearson_is_scipys(hits: int, trials: int, confidence: float) -> None:
    interval, expected = clopper_pearson(hits, trials, confidence), binomtest(hits, trials)
    assert interval is not None
    exact = expected.proportion_ci(confidence, "exact")
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high))
    assert clopper_pearson(0, 0) is None


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_weighted_auc_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.append(rng.random(30) < 0.4, [True, False])
    scores = rng.integers(0, 8, positive.size) / 8  # many ties
    weights = rng.integers(0, 3, (4, positive.size)).astype(float)
    weights[:, -2:] = 1
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    assert weighted_auc(scores, positive, weights) == pytest.approx(expected)


def test_no_interval_where_every_resample_is_alike() -> None:
    labels = np.repeat([0, 1], 20)
    found = classification_report(labels, np.eye(2)[labels], ["a", "b"], bootstrap=50)
    assert (found.balanced_accuracy, found.intervals.balanced_accuracy, found.intervals.auc) == (
        1,
        None,
        None,
    )
    assert found.intervals.accuracy is not None  # Wilson's knows of the number of images


def test_resamples_agree_with_a_written_out_loop() -> None:
    """Every lesion of a class alike: recall of a resample is the share of drawn lesions that are right."""
    labels = np.repeat([0, 1], 20)
    scores = np.tile([[0.9, 0.1]], (40, 1))
    scores[20:35] = [0.2, 0.8]
    samples = resample(labels, scores, None, seed=0, count=4000)
    # Class 0 is always right; class 1 has Binomial(20, 0.75) / 20 right.
    assert samples.balanced_accuracy.mean() == pytest.approx((1 + 0.75) / 2, abs=0.005)
    assert samples.balanced_accuracy.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 20) / 2, rel=0.05)


def test_images_of_one_lesion_add_no_certainty() -> None:
    labels, scores = random_case(60, 2, seed=3)
    single = resample(labels, scores, [str(i) for i in range(60)], seed=0, count=500)
    groups = [str(i) for i in range(60)] * 5
    copied = resample(np.tile(labels, 5), np.tile(scores, (5, 1)), groups, seed=0, count=500)
    np.testing.assert_allclose(copied.balanced_accuracy, single.balanced_accuracy)
    np.testing.assert_allclose(copied.auc, single.auc)
    np.testing.assert_allclose(copied.f1, single.f1)


def test_rare_class_is_in_every_resample_even_within_mixed_lesions() -> None:
    labels = np.array([0] * 30 + [1] * 30 + [2])
    scores = np.eye(3)[labels]
    groups = [f"patient{i // 2}" for i in range(61)]  # the patients' lesions differ in class
    samples = resample(labels, scores, groups, seed=1, count=300)
    assert samples.balanced_accuracy == pytest.approx(1.0)
    assert samples.auc == pytest.approx(1.0)


def test_intervals_contain_the_metrics_and_depend_on_the_seed_only() -> None:
    labels, scores = random_case(300, 3, seed=5)
    first, again = (classification_report(labels, scores, "abc", seed=4) for _ in range(2))
    assert first.intervals == again.intervals
    for name in ("accuracy", "balanced_accuracy", "auc", "f1"):
        interval = getattr(first.intervals, name)
        assert interval.low < getattr(first, name) < interval.high


def test_no_resamples_no_bootstrap_intervals() -> None:
    labels, scores = random_case(50, 3, seed=5)
    intervals = classification_report(labels, scores, "abc", bootstrap=0).intervals
    assert intervals.balanced_accuracy is intervals.auc is intervals.f1 is None
    assert intervals.accuracy is not None


def test_two_drawn_trainings_vary_as_much_as_two_trainings() -> None:
    drawn = over_trainings(np.tile([0.4, 0.6], (4000, 1)))
    assert sorted(set(drawn.round(4))) == [0.3586, 0.5, 0.6414]
    assert drawn.var() == pytest.approx(np.var([0.4, 0.6], ddof=1) / 2, rel=0.1)


def test_one_training_is_its_own_mean() -> None:
    values = np.random.default_rng(1).random((50, 1, 2, 3))
    assert over_trainings(values) == pytest.approx(values[:, 0])


def test_differences_are_paired() -> None:
    values = np.random.default_rng(1).random((50, 3, 2))
    apart = over_trainings(values[:, :, :1]) - over_trainings(values[:, :, 1:])
    assert apart == pytest.approx(over_trainings(values[:, :, :1] - values[:, :, 1:]))
