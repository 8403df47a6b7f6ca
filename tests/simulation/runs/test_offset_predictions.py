from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from dermafed.simulation.runs.offset_predictions import ClinicPredictions, predict_with_offsets
from tests.shared.metrics.calibration.sample_calibration import drawn


def clinic(seed: int, images: int = 200, bias: float = 2.0) -> tuple[ClinicPredictions, np.ndarray]:  # type: ignore[type-arg]
    """A clinic whose camera makes the model say too much of the first class; and its test's labels."""
    logits, labels = drawn(2 * images, seed)
    logits[:, 0] += bias
    shown = softmax(logits, axis=1).astype(np.float32)
    counts = np.bincount(labels[:images], minlength=3)
    return ClinicPredictions(shown[:images], labels[:images], counts, shown[images:]), labels[images:]


def loss(shown: np.ndarray, labels: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(-np.log(shown[np.arange(len(labels)), labels]).mean())


def test_each_clinics_bias_is_removed() -> None:
    (first, truth), (second, other) = clinic(1), clinic(2, bias=-2.0)
    found = predict_with_offsets([first, second])
    for before, own, labels in ((first, found[0], truth), (second, found[1], other)):
        after = own.test
        assert loss(after, labels) < loss(before.test, labels) - 0.1
        assert after.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert after.dtype == np.float32


def test_test_images_do_not_take_part() -> None:
    own, _ = clinic(1)
    shuffled = replace(own, test=own.test[::-1].copy())
    expected, found = (predict_with_offsets([each])[0] for each in (own, shuffled))
    assert (expected.test == found.test[::-1]).all()
    assert (expected.validation == found.validation).all()


def test_who_is_no_member_has_no_part_in_the_others_fit() -> None:
    own, other = clinic(1)[0], replace(clinic(2, bias=-5.0)[0], member=False)
    assert (predict_with_offsets([own, other])[0].test == predict_with_offsets([own])[0].test).all()


def test_without_enough_images_predictions_stay() -> None:
    own, _ = clinic(1, images=3)
    found = predict_with_offsets([own])[0]
    assert (found.test == own.test).all()
    assert (found.validation_without_prior == own.validation).all()
    none = replace(own, validation=own.validation[:0], labels=own.labels[:0])
    big, _ = clinic(2)
    assert np.isfinite(predict_with_offsets([big, none])[1].test).all()


def test_a_probability_of_zero_is_no_infinite_logit() -> None:
    own, _ = clinic(1)
    certain = np.tile(np.float32([1, 0, 0]), (4, 1))
    found = predict_with_offsets([replace(own, test=certain)])[0].test
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == 0).all()


def test_without_the_prior_the_odds_are_divided_by_those_of_the_clinics_classes() -> None:
    own, _ = clinic(1)
    found = predict_with_offsets([own])[0]
    # A federation of one: the clinic's shares, drawn to the same ones by 20 images more, with one of each.
    fitted = np.bincount(own.labels, minlength=3) + 1
    shares = (own.counts + 20 * fitted / fitted.sum()) / (own.counts.sum() + 20)
    for with_prior, without in (
        (found.test, found.test_without_prior),
        (found.validation, found.validation_without_prior),
    ):
        expected = with_prior / shares
        assert without == pytest.approx(expected / expected.sum(axis=1, keepdims=True), rel=1e-4)
