from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from dermafed.shared.training.clinic_weight import absent_classes, balanced_weight, class_weights
from dermafed.shared.training.loss import (
    PriorAdjustedCrossEntropy,
    log_prior,
    targets,
    without,
)


def loss(
    y_true: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None, focus: float = 0.0
) -> float:
    return float(PriorAdjustedCrossEntropy(focus)(y_true, logits, weights))


def test_the_docstrings_example() -> None:
    y = targets(np.array([0]), np.log(np.float32([0.25, 0.75])))
    np.testing.assert_allclose(y, [[1, 0, np.log(0.25), np.log(0.75)]], rtol=1e-6)
    assert loss(y, np.zeros((1, 2), np.float32)) == pytest.approx(1.386294, abs=1e-5)


def test_without_a_prior_it_is_keras_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 3, 5), rng.normal(size=(5, 3)).astype(np.float32)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert loss(targets(labels, np.zeros(3, np.float32)), logits) == pytest.approx(float(expected), abs=1e-6)


def test_the_prior_is_added_to_the_logits() -> None:
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 3, 5), rng.normal(size=(5, 3)).astype(np.float32)
    prior = np.log(np.float32([0.2, 0.7, 0.1]))
    scores = np.exp(logits + prior)
    expected = -np.log(scores[np.arange(5), labels] / scores.sum(axis=1)).mean()
    assert loss(targets(labels, prior), logits) == pytest.approx(float(expected), abs=1e-6)


def test_images_of_weight_zero_count_neither_above_nor_below_the_line() -> None:
    labels, logits = np.array([0, 1, 1]), np.float32([[1, 0], [0.5, 0], [9, -9]])
    y = targets(labels, np.zeros(2, np.float32))
    one, other = -np.log(1 / (1 + np.exp(-1))), -np.log(1 / (1 + np.exp(0.5)))
    assert loss(y, logits, np.float32([1, 1, 0])) == pytest.approx((one + other) / 2, abs=1e-6)
    assert loss(y, logits, np.float32([3, 1, 0])) == pytest.approx((3 * one + other) / 4, abs=1e-6)


def test_a_focus_turns_away_from_what_is_easy() -> None:
    y = targets(np.array([0]), np.log(np.float32([0.25, 0.75])))
    assert loss(y, np.zeros((1, 2), np.float32), focus=2) == pytest.approx(0.75**2 * 1.386294, abs=1e-5)
    rng = np.random.default_rng(2)
    labels, logits = rng.integers(0, 3, 6), rng.normal(size=(6, 3)).astype(np.float32)
    ours = loss(targets(labels, np.zeros(3, np.float32)), logits, focus=2)
    theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True)
    assert ours == pytest.approx(float(theirs(np.eye(3)[labels], logits)), abs=1e-6)


def test_certainty_has_a_finite_loss_and_slope() -> None:
    tensorflow = pytest.importorskip("tensorflow")
    logits = tensorflow.Variable(np.float32([[200, -200], [200, -200]]))
    y = targets(np.array([0, 1]), np.zeros(2, np.float32))
    for focus in (0.0, 1.0, 2.0):
        with tensorflow.GradientTape() as tape:
            value = PriorAdjustedCrossEntropy(focus)(y, logits)
        assert float(value) == pytest.approx(400 / 2)
        np.testing.assert_allclose(tape.gradient(value, logits), [[0, 0], [0.5, -0.5]], atol=1e-6)


def test_worked_example_of_label_smoothing() -> None:
    np.testing.assert_allclose(targets(np.array([1]), np.zeros(2, np.float32), 0.1)[:, :2], [[0.05, 0.95]])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_class_weights_are_scikit_learns_balanced_ones(values: list[int]) -> None:
    labels = np.array(values)
    present = np.unique(labels)
    ours = class_weights(np.bincount(labels, minlength=4))
    # scikit-learn divides by the number of classes present, we by the number of classes of the model.
    theirs = compute_class_weight("balanced", classes=present, y=labels) * len(present) / 4
    np.testing.assert_allclose(ours[present], theirs, rtol=1e-6)
    assert (np.delete(ours, present) == 0).all()


@given(st.lists(st.integers(0, 1_000_000), min_size=2, max_size=9))
def test_the_log_prior_is_a_finite_distribution(counts: list[int]) -> None:
    prior = log_prior(np.array(counts))
    assert prior.dtype == np.float32
    assert np.isfinite(prior).all()
    assert np.exp(prior).sum() == pytest.approx(1, abs=1e-5)


def test_worked_example_of_the_log_prior() -> None:
    np.testing.assert_allclose(np.exp(log_prior(np.array([2, 1, 0]))), [3 / 6, 2 / 6, 1 / 6], rtol=1e-6)


def test_balanced_weights_of_the_docstring_and_of_a_clinic_without_a_believable_one() -> None:
    clinics = np.array([[30, 10], [10, 50]])
    assert [balanced_weight(clinic, clinics.sum(axis=0)) for clinic in clinics] == [46, 54]
    assert balanced_weight(np.array([0, 1]), np.array([10, 5000])) == 1


@given(st.lists(st.tuples(*[st.integers(0, 500)] * 3), min_size=1, max_size=5))
def test_balanced_weights_add_up_to_all_images_of_all_classes(clinics: list[tuple[int, int, int]]) -> None:
    counts = np.array(clinics) + 1
    total = sum(balanced_weight(clinic, counts.sum(axis=0)) for clinic in counts)
    assert abs(total - counts.sum()) <= len(clinics)


CLASSES = 4


@st.composite
def batches_without_classes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,) of the classes that are there, logits (N, C), and which classes are absent (C,)."""
    absent = np.array(draw(st.lists(st.booleans(), min_size=CLASSES, max_size=CLASSES)))
    absent[draw(st.integers(0, CLASSES - 1))] = False
    labels = np.array(draw(st.lists(st.sampled_from(list(np.flatnonzero(~absent))), min_size=1, max_size=6)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return labels, rng.normal(scale=9, size=(len(labels), CLASSES)).astype(np.float32), absent


@settings(deadline=None)
@given(batches_without_classes(), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([0.0, 0.2]))
def test_an_absent_class_takes_no_part(
    batch: tuple[np.ndarray, np.ndarray, np.ndarray], focus: float, smoothing: float
) -> None:
    """The slope by its logit is exactly 0, and the rest is the loss of a model that has only the others."""
    tensorflow = pytest.importorskip("tensorflow")
    labels, logits, absent = batch
    prior = log_prior(np.bincount(labels, minlength=CLASSES))

    def loss_and_slope(y: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray]:
        variable = tensorflow.Variable(z)
        with tensorflow.GradientTape() as tape:
            value = PriorAdjustedCrossEntropy(focus)(y, variable)
        return float(value), tape.gradient(value, variable).numpy()

    value, slope = loss_and_slope(targets(labels, without(prior, absent), smoothing), logits)
    assert (slope[:, absent] == 0).all()
    renamed = np.cumsum(~absent)[labels] - 1
    alone, expected = loss_and_slope(targets(renamed, prior[~absent], smoothing), logits[:, ~absent])
    assert value == pytest.approx(alone, abs=1e-5)
    np.testing.assert_allclose(slope[:, ~absent], expected, atol=1e-5)


def test_where_no_class_is_absent_nothing_changes() -> None:
    prior = log_prior(np.array([5, 1, 30]))
    np.testing.assert_array_equal(without(prior, (False,) * 3), prior)
    assert without(prior, (False,) * 3).dtype == np.float32


def test_worked_example_of_absent_classes() -> None:
    """One's own none of what others have; nobody has the last."""
    assert absent_classes((5, 0, 0), (9, 4, 0)) == (False, True, False)
    assert absent_classes((0, 0), (0, 0)) == (False, False)
