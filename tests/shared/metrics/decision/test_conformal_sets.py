from __future__ import annotations

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from dermafed.shared.metrics.decision.conformal_sets import conformal_set, set_thresholds
from dermafed.shared.metrics.decision.lesion_scores import LesionScores, lesion_scores


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose inputs are its probabilities."""

    def fit(self, inputs: NDArray[np.float64], labels: NDArray[np.int64]) -> Given:
        self.classes_, self.fitted_ = np.arange(inputs.shape[1]), True
        return self

    def predict_proba(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return inputs

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.int64]:
        return inputs.argmax(axis=1)


def predictions(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels, and probabilities that favour them."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=[0.15, 0.7, 0.15])
    powers = np.exp(rng.normal(0, 1, (count, 3)) + 1.5 * np.eye(3)[labels])
    return labels, powers / powers.sum(axis=1, keepdims=True)


def test_worked_by_hand() -> None:
    """9 lesions of the first class and 0.1: its lowest score. 8 of the second: too few, always in the set."""
    scores = np.array([[k / 10, 0.5] for k in range(1, 10)] + [[0.3, 0.9]] * 8)
    thresholds = set_thresholds(LesionScores(np.repeat([0, 1], [9, 8]), scores, 0), 0.1)
    assert thresholds.tolist() == [0.1, 0.0]
    assert conformal_set(np.array([0.05, 0.95]), thresholds).tolist() == [False, True]
    assert conformal_set(np.array([[0.1, 0.0]]), thresholds).tolist() == [[True, True]]


def test_a_class_without_a_lesion_is_in_every_set() -> None:
    lesions = LesionScores(np.zeros(50, int), np.full((50, 2), 0.5), 0)
    assert set_thresholds(lesions).tolist() == [0.5, 0.0]


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset:UserWarning")
@pytest.mark.parametrize("left_out", [0.05, 0.1, 0.2])
def test_each_class_agrees_with_mapie_on_that_class_alone(left_out: float) -> None:
    labels, scores = predictions(600, 1)
    _, other = predictions(200, 2)
    thresholds = set_thresholds(lesion_scores(labels, scores, 0), left_out)
    for index in range(3):
        own = labels == index
        mapie = SplitConformalClassifier(
            Given().fit(scores, labels), confidence_level=1 - left_out, conformity_score="lac", prefit=True
        ).conformalize(scores[own], labels[own])
        _, sets = mapie.predict_set(other)
        assert (conformal_set(other, thresholds)[:, index] == sets[:, index, 0]).all()


def test_the_true_class_is_in_the_set_as_often_as_stated_for_every_class() -> None:
    """On average over validation sets; the plain score would leave out more of the rare classes."""
    test_labels, test_scores = predictions(20_000, 99)
    covered = []
    for seed in range(200):
        thresholds = set_thresholds(lesion_scores(*predictions(300, seed), 0), 0.1)
        inside = conformal_set(test_scores, thresholds)
        covered.append([inside[test_labels == index, index].mean() for index in range(3)])
    mean = np.mean(covered, axis=0)
    assert (mean >= 0.895).all()
    assert (mean <= 0.93).all()
