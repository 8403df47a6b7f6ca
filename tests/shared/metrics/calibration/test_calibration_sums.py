from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.calibration.calibration_sums import FEWEST_IMAGES, CalibrationSums
from tests.shared.metrics.calibration.sample_calibration import drawn


def same(left: CalibrationSums, right: CalibrationSums) -> bool:
    bins = [(getattr(left, side), getattr(right, side)) for side in ("before", "after")]
    return (
        left.temperature == right.temperature
        and np.allclose(left.losses, right.losses, rtol=1e-12)
        and all(np.array_equal(a.images, b.images) for a, b in bins)
        and all(np.array_equal(a.correct, b.correct) for a, b in bins)
        and all(np.allclose(a.confidence, b.confidence, rtol=1e-12) for a, b in bins)
    )


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(2, 5),
    st.lists(st.integers(FEWEST_IMAGES, 60), min_size=1, max_size=5),
    st.sampled_from([0.3, 1.0, 2.7]),
)
def test_clinics_sums_add_up_to_those_of_all_images(
    seed: int, classes: int, counts: list[int], temperature: float
) -> None:
    logits, labels = drawn(sum(counts), seed, classes=classes)
    parts = np.split(np.arange(len(labels)), np.cumsum(counts)[:-1])
    merged = reduce(add, (CalibrationSums.of(logits[part], labels[part], temperature) for part in parts))
    together = CalibrationSums.of(logits, labels, temperature)
    assert same(merged, together)
    merged.validate(classes)
    assert merged.images == sum(counts)
    assert merged.best_temperature == pytest.approx(together.best_temperature, rel=2e-3)
    assert merged.after.error == pytest.approx(together.after.error)


def test_a_rare_class_is_in_no_sum() -> None:
    logits = drawn(15, 3, classes=3)[0]
    labels = np.array([1] * 6 + [2] * 5 + [0] * 4)
    sent = CalibrationSums.of(logits, labels, 2.0, shows_rare=False)
    assert same(sent, CalibrationSums.of(logits[:11], labels[:11], 2.0))
    sent.validate(3)
    with pytest.raises(DatasetError, match="0 validation images"):
        CalibrationSums.of(logits[:8], np.array([0] * 4 + [1] * 4), shows_rare=False)


def test_scaling_corrects_an_overconfident_model() -> None:
    logits, labels = drawn(5000, 5, temperature=2.5)
    temperature = CalibrationSums.of(logits, labels).best_temperature
    sums = CalibrationSums.of(logits, labels, temperature)
    assert sums.before.error > 0.1
    assert sums.after.error < 0.02
    assert sums.loss_after < sums.loss_before
    # The answers are the same; only how sure they are is not.
    assert sums.before.correct.sum() == sums.after.correct.sum()


def test_too_few_images_are_not_summed() -> None:
    logits, labels = drawn(FEWEST_IMAGES - 1)
    with pytest.raises(DatasetError, match="too few"):
        CalibrationSums.of(logits, labels)


def test_sums_at_different_temperatures_do_not_add() -> None:
    logits, labels = drawn(20)
    with pytest.raises(FederationError):
        CalibrationSums.of(logits, labels, 1.0) + CalibrationSums.of(logits, labels, 2.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": float("nan")},
        {"temperature": 1e9},
        {"losses": np.full(29, np.nan)},
        {"losses": -np.ones(29)},
        {"losses": np.random.default_rng(0).random(29) * 100},  # no convex function
        {"losses": np.ones(3)},
        {"after": CalibrationSums.of(*drawn(20, 8)).after},  # other images than before
    ],
)
def test_sums_of_no_images_are_refused(changed: dict[str, Any]) -> None:
    sums = CalibrationSums.of(*drawn(20))
    sums.validate(3)
    with pytest.raises(FederationError, match="refused"):
        replace(sums, **changed).validate(3)
