"""The last layer by logistic regression over clinics: SciPy's optimum for all images."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax

from dermafed.shared.errors import FederationError
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.logistic import MOST_POINTS, FittedHead, logistic_head
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums

Floats = NDArray[np.float64]
WEIGHTS = np.array([3.0, 0.5, 1.5])


def images(count: int = 400, features: int = 6, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Overlapping classes, of 1 : 5 : 2, with features of unlike scales."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, count, p=[1 / 8, 5 / 8, 2 / 8])
    centres = 0.7 * random.normal(size=(3, features))
    shown = (random.normal(size=(count, features)) + centres[labels]) * np.logspace(-2, 2, features) + 5
    return shown, labels.astype(np.int64)


def fitted(clinics: list[tuple[Floats, NDArray[np.int64]]], ridge: float = 0.1) -> FittedHead:
    sums = reduce(add, (HeadSums.of(*each, WEIGHTS) for each in clinics))
    return logistic_head(
        sums, lambda head: reduce(add, (SlopeSums.of(*each, WEIGHTS, head) for each in clinics)), ridge
    )


def test_worked_example_of_the_slopes() -> None:
    """One image of class 0 at scores 0, 0, 0: p = 1/3 each, w = 3."""
    head = LinearHead(np.zeros((2, 3)), np.zeros(3))
    sums = SlopeSums.of(np.array([[1.0, 2.0]]), np.array([0]), WEIGHTS, head)
    assert sums.loss == pytest.approx(3 * np.log(3))
    assert sums.slopes == pytest.approx(np.array([[-2, 1, 1], [-4, 2, 2], [-2, 1, 1]]))
    assert sums.weight == 3


def test_the_slopes_are_those_of_the_loss() -> None:
    shown, labels = images(40, 3)
    start = 0.1 * np.random.default_rng(1).normal(size=12)

    def sums(values: Floats) -> SlopeSums:
        matrix = values.reshape(4, 3)
        return SlopeSums.of(shown / 10, labels, WEIGHTS, LinearHead(matrix[:-1], matrix[-1]))

    expected = approx_fprime(start, lambda values: sums(values).loss, 1e-7)
    assert sums(start).slopes.ravel() == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_it_is_what_scipy_finds_for_all_images() -> None:
    shown, labels = images()
    own = WEIGHTS[labels]
    mean = np.average(shown, axis=0, weights=own)
    deviation = np.sqrt(np.average((shown - mean) ** 2, axis=0, weights=own))
    standard = (shown - mean) / deviation

    def objective(values: Floats) -> float:
        matrix = values.reshape(7, 3)
        losses = -log_softmax(standard @ matrix[:-1] + matrix[-1], axis=1)[np.arange(len(labels)), labels]
        return float((own * losses).sum() / own.sum() + 0.1 / 2 * (matrix[:-1] ** 2).sum())

    best = minimize(objective, np.zeros(21), method="BFGS", options={"gtol": 1e-7}).x
    found = fitted([(shown, labels)])
    assert found.converged
    expected = log_softmax(standard @ best.reshape(7, 3)[:-1] + best.reshape(7, 3)[-1], axis=1)
    assert log_softmax(found.head.scores(shown), axis=1) == pytest.approx(expected, abs=1e-4)
    penalty = 0.1 / 2 * ((found.head.kernel * deviation[:, None]) ** 2).sum()
    assert found.loss + penalty <= objective(best) + 1e-12


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**16), st.lists(st.integers(1, 399), max_size=4, unique=True))
def test_clinics_find_what_one_place_finds(seed: int, cuts: list[int]) -> None:
    shown, labels = images(seed=seed)
    parts = zip(np.split(shown, sorted(cuts)), np.split(labels, sorted(cuts)), strict=True)
    found, whole = fitted(list(parts)), fitted([(shown, labels)])
    assert found.converged
    assert found.points <= MOST_POINTS
    assert found.head.scores(shown) == pytest.approx(whole.head.scores(shown), abs=1e-6)


def test_a_class_without_images_gets_no_chance() -> None:
    shown, labels = images()
    kept = labels != 0
    found = fitted([(shown[kept], labels[kept])])
    chances = np.exp(log_softmax(found.head.scores(shown), axis=1))
    assert np.isfinite(chances).all()
    assert chances[:, 0].max() < 0.05


def test_the_points_are_bounded() -> None:
    """Classes that a plane separates, almost without a penalty: far from done, but better than the start."""
    shown, labels = images()
    shown[:, 0] = labels * 1000
    found = fitted([(shown, labels)], ridge=1e-9)
    assert not found.converged
    assert found.points <= MOST_POINTS
    assert found.loss < 0.1 * np.log(3)


def test_slopes_that_no_images_have_are_refused() -> None:
    shown, labels = images()
    gram = HeadSums.of(shown, labels, WEIGHTS).gram
    head = LinearHead(np.zeros((6, 3)), np.zeros(3))
    sums = SlopeSums.of(shown, labels, WEIGHTS, head)
    sums.validate(gram)
    lies = [
        (sums.loss, 1e3 * sums.slopes, sums.weight),
        (sums.loss, sums.slopes * np.nan, sums.weight),
        (-1.0, sums.slopes, sums.weight),
        (1e13, sums.slopes, sums.weight),
        (sums.loss, sums.slopes, 2 * sums.weight),
        (sums.loss, np.abs(sums.slopes), sums.weight),
    ]
    for lie in lies:
        with pytest.raises(FederationError, match="refused"):
            SlopeSums(*lie).validate(gram)
