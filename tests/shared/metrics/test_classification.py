from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.classification import classification_report

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")

# Truth by row, prediction by column:    2 0 0 / 1 3 0 / 0 1 1
LABELS = np.array([0, 0, 1, 1, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 1, 1, 2])


def one_hot(predicted: np.ndarray, classes: int = 3, confidence: float = 0.8) -> np.ndarray:
    rows = np.full((predicted.size, classes), (1 - confidence) / (classes - 1))
    rows[np.arange(predicted.size), predicted] = confidence
    return rows


def random_case(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), labels] += 1
    exponentials = np.exp(logits)
    return labels, exponentials / exponentials.sum(axis=1, keepdims=True)


def test_worked_example() -> None:
    report = classification_report(LABELS, one_hot(PREDICTED), CLASSES)
    assert report.images == 8
    assert report.confusion.tolist() == [[2, 0, 0], [1, 3, 0], [0, 1, 1]]
    assert report.accuracy == 6 / 8
    assert report.balanced_accuracy == pytest.approx((1 + 3 / 4 + 1 / 2) / 3)
    assert report.precision == pytest.approx((2 / 3 + 3 / 4 + 1) / 3)
    assert report.f1 == pytest.approx((4 / 5 + 6 / 8 + 2 / 3) / 3)
    assert report.log_loss == pytest.approx(-(6 * np.log(0.8) + 2 * np.log(0.1)) / 8)
    assert report.per_class["nevus"].recall == 3 / 4
    assert report.per_class["nevus"].support == 4
    assert report.per_class["melanoma"].auc == pytest.approx((5 + 1 / 2) / 6)
    assert report.absent == ()


def test_matches_scikit_learn() -> None:
    labels, scores = random_case(400, 5, seed=1)
    report = classification_report(labels, scores, [f"c{i}" for i in range(5)])
    predicted = scores.argmax(axis=1)
    assert report.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert report.f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert report.auc == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"))
    assert report.log_loss == pytest.approx(log_loss(labels, scores))


def test_class_without_images_is_named_and_left_out_of_the_means() -> None:
    labels = np.array([0, 0, 1, 1])
    report = classification_report(labels, one_hot(np.array([0, 2, 1, 1])), CLASSES)
    assert report.absent == ("seborrheic_keratosis",)
    assert report.balanced_accuracy == 0.75
    assert report.precision == 1.0
    absent = report.per_class["seborrheic_keratosis"]
    assert (absent.precision, absent.recall, absent.f1, absent.auc, absent.support) == (None,) * 4 + (0,)
    assert report.intervals.recall["seborrheic_keratosis"] is None


def test_one_image() -> None:
    report = classification_report([1], one_hot(np.array([1])), CLASSES)
    assert (report.accuracy, report.balanced_accuracy, report.auc) == (1.0, 1.0, None)
    assert report.intervals.auc is None
    json.dumps(report.to_dict(), allow_nan=False)


def test_no_image() -> None:
    with pytest.raises(DatasetError, match="no image"):
        classification_report([], np.empty((0, 3)), CLASSES)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        ([0], [[np.nan, 0.5, 0.5]]),
        ([0], [[np.inf, 0.5, 0.5]]),
        ([0], [[0.5, 0.5]]),
        ([0, 1], [[1.0, 0.0, 0.0]]),
        ([3], [[1.0, 0.0, 0.0]]),
        ([-1], [[1.0, 0.0, 0.0]]),
        ([0.5], [[1.0, 0.0, 0.0]]),
        ([0], [[0.2, 0.2, 0.2]]),
        ([0], [[1.5, -0.5, 0.0]]),
    ],
)
def test_unusable_predictions(labels: list[float], probabilities: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"labels|probabilities"):
        classification_report(labels, probabilities, CLASSES)


def test_groups_must_fit() -> None:
    with pytest.raises(ValueError, match="7 groups for 8 images"):
        classification_report(LABELS, one_hot(PREDICTED), CLASSES, groups=["a"] * 7)


def test_dict_survives_json() -> None:
    content = classification_report(LABELS, one_hot(PREDICTED), CLASSES).to_dict()
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again["confusion"] == [[2, 0, 0], [1, 3, 0], [0, 1, 1]]
    assert again["per_class"]["melanoma"]["support"] == 2
    assert set(again["intervals"]) == {"accuracy", "balanced_accuracy", "auc", "f1", "recall"}
    assert again["intervals"]["recall"]["nevus"]["method"].startswith("Wilson")
    assert "over images" in again["intervals"]["f1"]["method"]


def test_float32_probabilities_and_a_certain_mistake() -> None:
    report = classification_report([0, 1], np.array([[0, 1], [0, 1]], dtype=np.float32), ("a", "b"))
    assert report.log_loss == pytest.approx(-np.log(1e-7) / 2)
