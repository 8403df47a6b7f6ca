from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.reliability import BINS, ECE_BINS, ConfidenceBins, bin_of
from tests.shared.metrics.calibration.sample_calibration import drawn


def error_written_out(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Guo et al. 2017, eq. 3, one image at a time."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(ECE_BINS)]
    for label, row in zip(labels, probabilities, strict=True):
        place = min(int(row.max() * ECE_BINS), ECE_BINS - 1)
        bins[place].append((float(row.max()), int(row.argmax()) == label))
    total = 0.0
    for bin in bins:
        if bin:
            confidence, accuracy = np.mean(bin, axis=0)
            total += len(bin) / len(labels) * abs(confidence - accuracy)
    return total


def test_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.55, 0.45]])
    bins = ConfidenceBins.count(np.array([0, 1, 1, 0]), probabilities)
    # 0.9 twice, right once; 0.7 right; 0.55 right.
    assert bins.error == pytest.approx((abs(1.8 - 1) + 0.3 + 0.45) / 4)
    first, second, third = bins.bars()
    assert (first.images, first.confidence, first.accuracy) == (1, pytest.approx(0.55), 1.0)
    assert (second.low, second.high) == (pytest.approx(10 / 15), pytest.approx(11 / 15))
    assert (third.images, third.confidence, third.accuracy) == (2, pytest.approx(0.9), 0.5)
    assert third.interval.low < 0.5 < third.interval.high
    assert bins.images.sum(axis=1).tolist() == [2, 2]
    assert bins.correct.sum(axis=1).tolist() == [2, 1]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([1, 7, 300]), st.integers(2, 6))
def test_the_error_is_the_one_of_the_paper(seed: int, count: int, classes: int) -> None:
    logits, labels = drawn(count, seed, classes=classes)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    bins = ConfidenceBins.count(labels, probabilities)
    bins.validate(count, classes)
    assert bins.error == pytest.approx(error_written_out(labels, probabilities))


def test_the_interval_contains_the_error_and_narrows_with_more_images() -> None:
    widths = []
    for count in (200, 5000):
        logits, labels = drawn(count, 3, temperature=2.5)
        bins = ConfidenceBins.count(labels, softmax(logits.astype(np.float64), axis=1))
        interval = bins.error_interval()
        assert interval.low < bins.error < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 3


def test_certainty_belongs_to_the_last_bin() -> None:
    assert bin_of(1.0) == BINS - 1
    assert bin_of(np.array([0.0, 0.5])).tolist() == [0, BINS // 2]


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("images", (0, 50), 99), ("correct", (0, 0), 1), ("images", (0, 0), -1), ("confidence", (0,), 3.0)],
)
def test_counts_of_no_images_are_refused(name: str, place: tuple[int, ...], value: float) -> None:
    logits, labels = drawn(40, 4)
    bins = ConfidenceBins.count(labels, softmax(logits.astype(np.float64), axis=1))
    getattr(bins, name)[place] = value
    with pytest.raises(FederationError):
        bins.validate(40, 3)
