from __future__ import annotations

import dataclasses
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.classification import classification_report
from dermafed.shared.metrics.evaluation import BINS, MAX_IMAGES, ClinicEvaluation
from tests.shared.metrics.test_classification import random_case


def evaluation(seed: int = 0, count: int = 50, classes: int = 3) -> ClinicEvaluation:
    return ClinicEvaluation.from_predictions(*random_case(count, classes, seed))


def test_worked_example() -> None:
    result = ClinicEvaluation.from_predictions([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    assert result.images == 3
    assert result.confusion.tolist() == [[1, 1], [0, 1]]
    assert result.loss == pytest.approx(-(np.log(0.9) + np.log(0.4) + np.log(0.6)) / 3)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.balanced_accuracy == pytest.approx((1 / 2 + 1) / 2)
    # Positive and negative pairs: one in order, one tied.
    assert result.auc == pytest.approx((1 + 1 / 2) / 2)
    assert result.auc_error == pytest.approx(1 / 4)
    assert result.histograms[0, 1, 900] == 1
    assert result.histograms[1, 0].sum() == 2


def test_a_rare_class_is_in_no_histogram_and_in_no_loss() -> None:
    """One melanoma, five nevi, six keratoses: only the confusion matrix shows the melanoma."""
    labels = np.array([1] * 5 + [2] * 6 + [0])
    scores = random_case(12, 3, 0)[1]
    sent = ClinicEvaluation.from_predictions(labels, scores, shows_rare=False)
    without = ClinicEvaluation.from_predictions(labels[:-1], scores[:-1])
    np.testing.assert_array_equal(sent.histograms, without.histograms)
    assert (sent.loss_sum, sent.loss) == (without.loss_sum, without.loss)
    assert (sent.images, sent.confusion.sum(axis=1).tolist()) == (12, [1, 5, 6])
    sent.validate(3)
    with pytest.raises(FederationError, match="add up"):  # of five images, all are counted
        dataclasses.replace(sent, histograms=0 * sent.histograms, loss_sum=0.0).validate(3)


def test_rare_classes_only_leave_no_loss() -> None:
    sent = ClinicEvaluation.from_predictions(
        [0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]], shows_rare=False
    )
    sent.validate(2)
    assert not sent.histograms.any()
    assert sent.auc is None
    assert np.isnan(sent.loss)
    assert sent.balanced_accuracy == pytest.approx((1 / 2 + 1) / 2)


def test_rare_images_count_where_other_clinics_have_enough() -> None:
    """Loss and AUC are those of the images that are shown."""
    labels, scores = random_case(60, 3, 1)
    rare = ClinicEvaluation.from_predictions([0], scores[:1], shows_rare=False)
    merged = ClinicEvaluation.from_predictions(labels, scores) + rare
    assert merged.images == 61
    assert merged.loss == ClinicEvaluation.from_predictions(labels, scores).loss


def test_ends_of_the_unit_interval() -> None:
    result = ClinicEvaluation.from_predictions([0, 1], np.eye(2))
    assert result.histograms[0, 1, BINS - 1] == 1
    assert result.histograms[0, 0, 0] == 1
    result.validate(2)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from([3, 40, 400]), st.sampled_from([1, 0.01]))
def test_auc_within_its_bound_of_scikit_learns(seed: int, classes: int, count: int, scale: float) -> None:
    labels, scores = random_case(count, classes, seed)
    scores = scale * scores + (1 - scale) / classes  # a small scale puts many scores into one bin
    result = ClinicEvaluation.from_predictions(labels, scores)
    exact = [
        roc_auc_score(labels == c, scores[:, c]) for c in range(classes) if 0 < (labels == c).sum() < count
    ]
    if not exact:
        assert result.auc is result.auc_error is None
        return
    assert result.auc is not None
    assert result.auc_error is not None
    assert abs(result.auc - np.mean(exact)) <= result.auc_error + 1e-12


def test_bound_is_tight_where_a_clinic_is_of_usual_size() -> None:
    error = evaluation(count=500).auc_error
    assert error is not None
    assert error < 0.002


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 1000))
def test_merged_clinics_are_the_pooled_images(sizes: list[int], seed: int) -> None:
    labels, scores = random_case(sum(sizes), 3, seed)
    ends = np.cumsum(sizes)[:-1]
    parts = zip(np.split(labels, ends), np.split(scores, ends), strict=True)
    merged = reduce(add, (ClinicEvaluation.from_predictions(*part) for part in parts))
    merged.validate(3)
    pooled = ClinicEvaluation.from_predictions(labels, scores)
    np.testing.assert_array_equal(merged.confusion, pooled.confusion)
    np.testing.assert_array_equal(merged.histograms, pooled.histograms)
    report = classification_report(labels, scores, "abc", bootstrap=0)
    assert merged.images == report.images
    assert merged.accuracy == pytest.approx(report.accuracy)
    assert merged.balanced_accuracy == pytest.approx(report.balanced_accuracy)
    assert merged.loss == pytest.approx(report.log_loss)


def test_a_mean_over_clinics_would_be_wrong() -> None:
    """One clinic has only melanoma, all wrong; the other only nevus, all right."""
    bad = ClinicEvaluation.from_predictions([0], [[0.3, 0.7]])
    good = ClinicEvaluation.from_predictions([1] * 9, [[0.2, 0.8]] * 9)
    assert (bad + good).accuracy == 0.9
    assert (bad + good).balanced_accuracy == 0.5
    assert bad.auc is good.auc is None
    assert (bad + good).auc == 0.0 + 1.0  # 0.3 > 0.2 for class 0; 0.8 > 0.7 for class 1


def test_clinics_of_different_models_do_not_add() -> None:
    with pytest.raises(FederationError, match="different classes"):
        evaluation(classes=3) + evaluation(classes=4)


def test_no_images() -> None:
    with pytest.raises(DatasetError):
        ClinicEvaluation.from_predictions([], np.empty((0, 3)))


GOOD = evaluation()


def with_count(counts: np.ndarray, change: int) -> np.ndarray:
    counts = counts.copy()
    counts.flat[0] += change
    return counts


@pytest.mark.parametrize(
    "change",
    [
        {"images": 0},
        {"images": 51},
        {"images": MAX_IMAGES + 1},
        {"loss_sum": float("nan")},
        {"loss_sum": float("inf")},
        {"loss_sum": -1.0},
        {"loss_sum": 1e6},
        {"confusion": GOOD.confusion[:2, :2]},
        {"confusion": GOOD.confusion.astype(float)},
        {"confusion": with_count(GOOD.confusion, 1)},
        {"confusion": with_count(GOOD.confusion, -1000)},
        {"confusion": with_count(GOOD.confusion, 2**62)},
        {"confusion": GOOD.confusion.T},
        {"histograms": GOOD.histograms[:, :, :10]},
        {"histograms": with_count(GOOD.histograms, 1)},
        {"histograms": with_count(GOOD.histograms, -1)},
        {"histograms": GOOD.histograms[:, ::-1]},
        {"histograms": GOOD.histograms[::-1]},
    ],
)
def test_impossible_evaluations_are_refused(change: dict[str, Any]) -> None:
    GOOD.validate(3)
    with pytest.raises(FederationError, match="refused"):
        dataclasses.replace(GOOD, **change).validate(3)
