"""Loss and derivatives, by finite differences and by hand; merged, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import log_softmax

from dermafed.shared.errors import DatasetError, FederationError, ModelError
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from tests.shared.metrics.calibration.sample_calibration import drawn

POINT = ClassOffsets(0.7, (0.3, -0.4, 0.1))


def loss_of(logits: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Callable[[Any], float]:
    exact, every = logits.astype(np.float64), np.arange(len(labels))
    return lambda x: float(-log_softmax(x[0] * exact + x[1:], axis=1)[every, labels].sum())


def test_two_images_by_hand() -> None:
    """At a = 1, b = 0: logits (ln 3, 0) give (3/4, 1/4); true class 0 loses ln 4/3, true class 1 ln 4."""
    logits = np.array([[np.log(3), 0.0], [np.log(3), 0.0]])
    found = OffsetSums.of(logits, np.array([0, 1]), ClassOffsets.none(2))
    assert found.loss == pytest.approx(np.log(4 / 3) + np.log(4))
    # p - y summed: (3/4 - 1) + 3/4 = 1/2 and -1/2; the slope by the scale: 1/2 ln 3.
    assert found.gradient == pytest.approx([0.5 * np.log(3), 0.5, -0.5])
    assert found.hessian[1, 1] == pytest.approx(2 * 3 / 16)
    assert found.hessian[1, 2] == pytest.approx(-2 * 3 / 16)
    assert found.hessian[0, 0] == pytest.approx(2 * 3 / 16 * np.log(3) ** 2)
    assert found.counts.tolist() == [1, 1]


def test_the_derivatives_are_those_of_the_loss() -> None:
    logits, labels = drawn(60, 1)
    found, loss = OffsetSums.of(logits, labels, POINT), loss_of(logits, labels)
    assert found.loss == pytest.approx(loss(POINT.vector), rel=1e-12)
    assert found.gradient == pytest.approx(approx_fprime(POINT.vector, loss, 1e-7), abs=1e-4)

    def slopes(x: Any) -> Any:
        return OffsetSums.of(logits, labels, ClassOffsets.of_vector(x)).gradient

    numeric = np.array(
        [(slopes(POINT.vector + e) - slopes(POINT.vector - e)) / 2e-5 for e in 1e-5 * np.eye(4)]
    )
    assert found.hessian == pytest.approx(numeric, abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9999), st.integers(2, 7), st.lists(st.integers(5, 40), min_size=1, max_size=5))
def test_clinics_sums_add_up_to_those_of_all_images(seed: int, classes: int, counts: list[int]) -> None:
    logits, labels = drawn(sum(counts), seed, classes=classes)
    point = ClassOffsets(0.7, tuple(np.linspace(-1, 1, classes)))
    parts = np.split(np.arange(len(labels)), np.cumsum(counts)[:-1])
    each = [OffsetSums.of(logits[part], labels[part], point) for part in parts]
    merged, together = reduce(add, each), OffsetSums.of(logits, labels, point)
    assert merged.loss == pytest.approx(together.loss)
    assert merged.gradient == pytest.approx(together.gradient, abs=1e-9)
    assert merged.hessian == pytest.approx(together.hessian, abs=1e-9)
    assert merged.counts.tolist() == together.counts.tolist()
    for sums in (*each, merged):
        sums.validate(classes)


def test_three_classes_are_18_numbers() -> None:
    found = OffsetSums.of(*drawn(30, 0), POINT)
    assert found.counts.size + 1 + found.gradient.size + len(np.triu_indices(4)[0]) == 18


def test_a_rare_class_is_in_no_sum() -> None:
    logits = drawn(15, 3)[0]
    labels = np.array([1] * 6 + [2] * 5 + [0] * 4)
    sent = OffsetSums.of(logits, labels, POINT, shows_rare=False)
    whole = OffsetSums.of(logits[:11], labels[:11], POINT)
    assert (sent.loss, sent.counts.tolist()) == (whole.loss, [0, 6, 5])
    assert (sent.hessian == whole.hessian).all()


@pytest.mark.parametrize("images", [0, 1, 4])
def test_too_few_images_do_not_leave(images: int) -> None:
    logits, labels = drawn(images, 0)
    with pytest.raises(DatasetError, match="0 validation images are too few"):
        OffsetSums.of(logits, labels, POINT, shows_rare=False)
    assert OffsetSums.of(logits, labels, POINT).images == images  # at the clinic they count


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_no_numbers_are_refused(odd: float) -> None:
    logits, labels = drawn(10, 0)
    logits[3, 1] = odd
    with pytest.raises(ModelError, match="not finite"):
        OffsetSums.of(logits, labels, POINT)


def test_large_logits_and_common_shifts_do_no_harm() -> None:
    logits, labels = drawn(30, 2)
    shifted = OffsetSums.of(logits.astype(np.float64) + 1e6, labels, POINT)
    plain = OffsetSums.of(logits, labels, POINT)
    assert shifted.hessian == pytest.approx(plain.hessian, abs=1e-6)
    assert shifted.loss == pytest.approx(plain.loss)


SUMS = OffsetSums.of(*drawn(40, 5), POINT)


@pytest.mark.parametrize(
    "changed",
    [
        {"counts": np.array([1, 1, 1])},
        {"counts": np.array([-1, 40, 1])},
        {"counts": np.array([20.0, 10, 10])},
        {"counts": np.array([20, 20])},
        {"loss": np.nan},
        {"loss": -1.0},
        {"loss": 1e12},
        {"gradient": np.full(4, np.nan)},
        {"gradient": np.array([0.0, 41, -41, 0])},
        {"gradient": np.array([0.0, 1, 1, 1])},
        {"gradient": np.array([1e9, 0, 0, 0])},
        {"hessian": -SUMS.hessian},
        {"hessian": SUMS.hessian * np.nan},
        {"hessian": np.eye(4) * 1e12},
        {"hessian": np.triu(SUMS.hessian)},
        {"hessian": np.eye(3)},
        {"point": ClassOffsets(np.nan, POINT.offsets)},
        {"point": ClassOffsets(1.0, (0.0, 0.0))},
        {"point": ClassOffsets(1.0, (0.0, 0.0, 17.0))},
    ],
)
def test_sums_that_no_images_give_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(FederationError):
        replace(SUMS, **changed).validate(3)


def test_sums_at_different_offsets_do_not_add() -> None:
    with pytest.raises(FederationError, match="different offsets"):
        SUMS + OffsetSums.of(*drawn(40, 5), ClassOffsets.none(3))
