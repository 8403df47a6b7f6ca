"""The figures of ISIC 2018's official scorer on the files of a run, beside DermaFed's own of the same images.

``isic-challenge-scoring`` is Apache-2.0. Its figures of one class count an image as found where its
probability is above 0.5; DermaFed's recall, where it is the largest.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.metrics.challenge_csv import CODES, predictions_csv, truth_csv
from dermafed.shared.metrics.classification import classification_report
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores
from dermafed.shared.metrics.decision.operating_point import OperatingPoint, operating_point
from dermafed.shared.metrics.decision.roc_curves import RocCurves
from dermafed.shared.metrics.decision.score_counts import ScoreCounts

classification = pytest.importorskip("isic_challenge_scoring.classification", reason="extra 'scorer'")
load_csv = pytest.importorskip("isic_challenge_scoring.load_csv")
metrics = pytest.importorskip("isic_challenge_scoring.metrics")

pytestmark = pytest.mark.filterwarnings("ignore:DataFrame.applymap")  # the scorer's

SEVEN = tuple(sorted(CODES))
HALF = float(np.nextafter(0.5, 1))  # at or above it: above 0.5


def score(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    images: list[str] | None = None,
) -> Any:
    """The scorer's answer to the two files."""
    names = images or [f"ISIC_{number:07d}" for number in range(labels.size)]
    return classification.ClassificationScore.from_stream(
        io.StringIO(truth_csv(names, labels, classes)),
        io.StringIO(predictions_csv(names, probabilities.astype(np.float32), classes)),
        classification.ClassificationMetric.BALANCED_ACCURACY,
    )


def column(name: str, classes: tuple[str, ...]) -> str:
    return CODES[name] if classes == SEVEN else name


def point(labels: np.ndarray, probabilities: np.ndarray, place: int) -> OperatingPoint:
    """An alert for one class above 0.5, each image a lesion of its own."""
    counts = ScoreCounts.of_lesions(lesion_scores(labels, probabilities, place))
    return operating_point(counts, HALF, DecisionSettings())


def specificity_between(curve: RocCurves, sensitivity: float) -> float:
    """Where the curve first has this sensitivity, also between two thresholds.

    The scorer's area above a sensitivity has the whole strip below it too, down to 0; ours has not.
    """
    found, spared = curve.sensitivity[0], curve.specificity[0]
    end = int((found >= sensitivity).argmax())
    step = slice(end - 1, end + 1)
    return float(np.interp(sensitivity, found[step], spared[step]))


def draw(seed: int, count: int, classes: int, grid: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels, each class twice at least, and float32 probabilities; with a grid many scores are equal.

    No image has two largest probabilities.
    """
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(classes), 2), rng.integers(0, classes, count)])
    logits = rng.normal(0, 1.5, (labels.size, classes))
    logits[np.arange(labels.size), labels] += 1
    if grid is not None:
        logits = np.round(logits * grid) / grid
        top = logits.argmax(axis=1)
        logits[np.arange(labels.size), top] += 1 / (2 * grid)
    exponentials = np.exp(logits)
    return labels, (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def assert_same(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> None:
    theirs = score(labels, probabilities, classes)
    ours = classification_report(labels, probabilities, classes, bootstrap=0)
    assert theirs.overall == pytest.approx(ours.balanced_accuracy, abs=1e-6)
    assert theirs.macro_average["auc"] == pytest.approx(ours.auc, abs=1e-6)
    for place, name in enumerate(classes):
        row, alert = theirs.per_category.loc[column(name, classes)], point(labels, probabilities, place)
        scores, truth = probabilities[:, place].astype(np.float64), labels == place
        curve = RocCurves.of(scores, truth, np.ones((1, truth.size)))
        counts = alert.alerts
        right = counts.found + counts.others - counts.alarms
        expected = {
            "auc": ours.per_class[name].auc,
            "auc_sens_80": curve.area_above(0.8)[0] + 0.8 * specificity_between(curve, 0.8),
            "sensitivity": alert.sensitivity.value,
            "specificity": alert.specificity.value,
            "ppv": 1.0 if alert.ppv.value is None else alert.ppv.value,  # nothing is called so
            "npv": 1.0 if alert.npv.value is None else alert.npv.value,
            "accuracy": right / truth.size,
            "dice": 2 * counts.found / (counts.melanomas + counts.found + counts.alarms),
        }
        assert {figure: row[figure] for figure in expected} == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize("classes", [SEVEN, ("melanoma", "nevus", "seborrheic_keratosis")])
@pytest.mark.parametrize("grid", [None, 2])
def test_the_scorers_figures_are_ours(classes: tuple[str, ...], grid: int | None) -> None:
    assert_same(*draw(7, 300, len(classes), grid), classes)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(2, 7), st.sampled_from([None, 1, 4]))
@settings(max_examples=40, deadline=None)
def test_they_are_on_any_predictions(seed: int, count: int, classes: int, grid: int | None) -> None:
    names = SEVEN if classes == 7 else tuple("abcdef"[:classes])
    assert_same(*draw(seed, count, classes, grid), names)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_of_two_classes_recall_precision_and_f1_are_its_sensitivity_ppv_and_dice(
    seed: int, count: int
) -> None:
    labels, probabilities = draw(seed, count, 2)
    theirs = score(labels, probabilities, ("x", "y")).per_category
    for name, ours in classification_report(labels, probabilities, ("x", "y"), bootstrap=0).per_class.items():
        row = theirs.loc[name]
        called = probabilities.argmax(axis=1) == "xy".index(name)
        assert row["sensitivity"] == pytest.approx(ours.recall, abs=1e-6)
        assert row["dice"] == pytest.approx(ours.f1, abs=1e-6)
        assert row["ppv"] == pytest.approx(ours.precision if called.any() else 1.0, abs=1e-6)


def test_a_worked_example() -> None:
    # a: 0.9 found, 0.4 the largest, 0.1 lost to b; b: 0.6 found; c: 0.7 found, 0.2 lost to a.
    labels = np.array([0, 0, 0, 1, 2, 2])
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]
    )
    theirs = score(labels, probabilities, ("a", "b", "c"))
    assert theirs.overall == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    # Of a its sensitivity is 1 of 3, our recall 2 of 3: 0.4 is the largest, but not above 0.5.
    assert theirs.per_category.loc["a", "sensitivity"] == pytest.approx(1 / 3)
    ours = classification_report(labels, probabilities, ("a", "b", "c"), bootstrap=0)
    assert ours.per_class["a"].recall == pytest.approx(2 / 3)
    # b: of the pairs of 0.6 with 0.1, 0.3, 0.8, 0.2, 0.3 it wins four of five.
    assert theirs.per_category.loc["b", "auc"] == pytest.approx(4 / 5)
    # Ranked 0.9, 0.5 (c's), 0.4, 0.2, 0.1, 0.1: precision 1, 2/3, and 3 of 6 at the tie, each for a third.
    assert theirs.per_category.loc["a", "ap"] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)


def test_of_two_largest_probabilities_it_takes_none_and_we_the_first() -> None:
    labels, probabilities = np.array([0, 1]), np.array([[0.5, 0.5], [0.0, 1.0]])
    assert score(labels, probabilities, ("a", "b")).overall == 0.5
    assert classification_report(labels, probabilities, ("a", "b"), bootstrap=0).balanced_accuracy == 1.0


@pytest.mark.filterwarnings("ignore:No positive samples", "ignore:Only one class")
def test_it_fails_where_a_class_has_no_image_though_its_balanced_accuracy_is_ours() -> None:
    labels, probabilities = draw(3, 30, 3)
    labels, probabilities = labels[labels != 2], probabilities[labels != 2]
    with pytest.raises(ValueError, match="empty"):
        score(labels, probabilities, ("a", "b", "c"))
    names = [f"{number:02d}x" for number in range(labels.size)]
    truth, weights = load_csv.parse_truth_csv(io.StringIO(truth_csv(names, labels, ("a", "b", "c"))))
    table = io.StringIO(predictions_csv(names, probabilities, ("a", "b", "c")))
    theirs = metrics.balanced_multiclass_accuracy(
        truth, load_csv.parse_csv(table, truth.columns), weights.score_weight
    )
    ours = classification_report(labels, probabilities, ("a", "b", "c"), bootstrap=0)
    assert theirs == pytest.approx(ours.balanced_accuracy, abs=1e-6)
    assert ours.absent == ("c",)


def test_it_leaves_one_image_of_the_challenge_out() -> None:
    labels, probabilities = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    assert score(labels, probabilities, ("a", "b"), ["A", "y", "z"]).overall == 0.75
    assert score(labels, probabilities, ("a", "b"), ["A", "ISIC_0035068", "z"]).overall == 1.0
