from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from dermafed.shared.errors import FederationError, ModelError
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.clinic_offsets import (
    expected_offsets,
    federation_shares,
    fit_clinic_offsets,
    smoothed_shares,
)
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from tests.shared.metrics.calibration.sample_calibration import drawn

FEDERATION = FittedOffsets(ClassOffsets(0.8, (0.5, 0.0, -0.5)), (99, 799, 99), 0.5, 5, 3, True)
NOTHING = np.zeros(3, np.int64)


def test_shares_by_hand() -> None:
    """(counts + 1) / 1000: 0.1, 0.8, 0.1. Five own melanomas: (5 + 20 * 0.1) / 25 = 0.28."""
    assert federation_shares(FEDERATION) == pytest.approx([0.1, 0.8, 0.1])
    shares = smoothed_shares(np.array([5, 0, 0]), np.array([0.1, 0.8, 0.1]))
    assert shares == pytest.approx([0.28, 0.64, 0.08])
    assert smoothed_shares(NOTHING, np.array([0.1, 0.8, 0.1])) == pytest.approx([0.1, 0.8, 0.1])


def test_the_centre_by_hand() -> None:
    """A class twice as frequent as in the federation: its odds double."""
    found = expected_offsets(FEDERATION, np.array([0.2, 0.7, 0.1]))
    assert found.vector == pytest.approx([0.8, 0.5 + np.log(2), np.log(7 / 8), -0.5])


def test_a_clinic_without_images_uses_the_federations() -> None:
    own = fit_clinic_offsets(FEDERATION, np.empty((0, 3)), np.empty(0, np.int64), NOTHING)
    assert own.point.vector == pytest.approx(FEDERATION.point.vector)
    assert own.few == (True, True, True)
    assert own.bins.images.sum() == 0


def test_one_image_moves_little() -> None:
    own = fit_clinic_offsets(FEDERATION, np.zeros((1, 3)), np.array([0]), np.array([1, 0, 0]))
    assert np.abs(own.point.vector - FEDERATION.point.vector).max() < 0.8
    assert np.isfinite(own.point.vector).all()


def test_a_class_that_is_absent_is_as_rare_as_the_counts_say() -> None:
    logits, labels = drawn(400, 1)
    two = labels != 0
    counts = np.array([0, 500, 480])
    own = fit_clinic_offsets(FEDERATION, logits[two], labels[two], counts)
    centre = expected_offsets(FEDERATION, np.array(own.shares))
    assert own.point.offsets[0] == pytest.approx(centre.offsets[0])
    assert own.few == (True, False, False)
    # Nothing of its rarity here remains once the prior is removed: the federation's own score for it.
    equal = FEDERATION.point.without_prior(federation_shares(FEDERATION))
    assert own.without_prior.offsets[0] == pytest.approx(equal.offsets[0])


def test_many_images_outweigh_the_centre() -> None:
    """Images of offsets (0, 0, 0): with 20,000 of them, a wrong centre costs next to nothing."""
    logits, labels = drawn(20_000, 3)
    own = fit_clinic_offsets(FEDERATION, logits, labels, np.bincount(labels))
    offsets = np.array(own.point.offsets) - np.mean(own.point.offsets)
    assert [own.point.scale, *offsets] == pytest.approx([1, 0, 0, 0], abs=0.06)


def test_an_own_fit_is_at_least_as_good_as_the_federations_on_its_images() -> None:
    logits, labels = drawn(150, 4)
    own = fit_clinic_offsets(FEDERATION, logits, labels, np.bincount(labels))

    def loss(point: ClassOffsets) -> float:
        return float(-np.log(point.probabilities(logits)[np.arange(150), labels]).mean())

    assert loss(own.point) < loss(FEDERATION.point)


def test_removing_the_prior_divides_by_the_shares() -> None:
    logits, shares = np.array([0.3, -0.2, 1.0]), np.array([0.1, 0.8, 0.1])
    found = FEDERATION.point.without_prior(shares).probabilities(logits)
    divided = softmax(0.8 * logits + [0.5, 0.0, -0.5]) / shares
    assert found == pytest.approx(divided / divided.sum())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(0, 60), st.lists(st.integers(0, 500), min_size=3, max_size=3))
def test_any_clinic_has_offsets(seed: int, images: int, counts: list[int]) -> None:
    logits, labels = drawn(images, seed)
    own = fit_clinic_offsets(FEDERATION, logits, labels, np.array(counts))
    for point in (own.point, own.without_prior):
        point.validate(3)
    assert sum(own.shares) == pytest.approx(1)


def test_outputs_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match="not finite"):
        fit_clinic_offsets(FEDERATION, np.full((1, 3), np.nan), np.array([0]), NOTHING)


@pytest.mark.parametrize(
    "point", [ClassOffsets(0.0, (0.0,) * 3), ClassOffsets(1.0, (0.0, 0.0, float("nan")))]
)
def test_impossible_offsets_are_refused(point: ClassOffsets) -> None:
    with pytest.raises(FederationError, match="3 classes"):
        point.validate(3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(1, 200), st.integers(0, 2), st.integers(0, 5000))
def test_a_class_without_images_keeps_the_centres_offset_and_a_probability(
    seed: int, images: int, absent: int, training: int
) -> None:
    logits, labels = drawn(images, seed)
    known = labels != absent
    counts = np.where(np.arange(3) == absent, 0, training)
    own = fit_clinic_offsets(FEDERATION, logits[known], labels[known], counts)
    centre = expected_offsets(FEDERATION, np.array(own.shares))
    assert own.point.offsets[absent] == centre.offsets[absent]
    # As rare as n + 20 images without one say, and no rarer: n of the two other classes.
    least = np.log(20 / (counts.sum() + 20)) + FEDERATION.point.offsets[absent]
    assert own.point.offsets[absent] == pytest.approx(least)
    assert (own.point.probabilities(logits)[:, absent] > 0).all()
