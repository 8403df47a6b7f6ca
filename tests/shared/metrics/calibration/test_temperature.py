from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from dermafed.shared.metrics.calibration.calibration import softmax
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES, best_temperature, loss_at, losses
from tests.shared.metrics.calibration.sample_calibration import drawn


def mean_loss(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """By scikit-learn."""
    probabilities = [softmax(row / np.float64(temperature)) for row in logits]
    return float(log_loss(labels, probabilities, labels=range(logits.shape[1])))


def minimiser(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """By scipy, from the images themselves."""
    found = minimize_scalar(
        lambda log: losses_at(logits, labels, np.exp(log)),
        bounds=np.log(TEMPERATURES[[0, -1]]),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(np.exp(found.x))


def losses_at(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    scaled = logits.astype(np.float64) / temperature
    top = scaled.max(axis=1)
    whole = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((whole - scaled[np.arange(len(labels)), labels]).sum())


def test_losses_are_scikit_learns_at_every_temperature() -> None:
    logits, labels = drawn(60, 1)
    found = losses(logits, labels) / 60
    assert found == pytest.approx([mean_loss(logits, labels, each) for each in TEMPERATURES], rel=1e-6)
    assert 1.0 in TEMPERATURES


@example(4308, 10, 2, 0.3, 6.0)  # every low temperature has no loss at all: the minimiser stops at any
@example(4449, 10, 2, 0.3, 0.5)  # between the grid's first two
@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.sampled_from([10, 60, 500]),
    st.integers(2, 7),
    st.sampled_from([0.3, 0.8, 1.0, 1.7, 4.0]),
    st.sampled_from([0.5, 2.0, 6.0]),
)
def test_the_temperature_is_the_one_that_a_minimiser_finds(
    seed: int, count: int, classes: int, temperature: float, spread: float
) -> None:
    logits, labels = drawn(count, seed, temperature=temperature, classes=classes, spread=spread)
    summed = losses(logits, labels)
    found, exact = best_temperature(summed), minimiser(logits, labels)
    loss, least = losses_at(logits, labels, found), losses_at(logits, labels, exact)
    assert found == pytest.approx(exact, rel=0.02) or loss <= least
    # What matters: no more than a ten-thousandth of a nat is lost.
    assert loss <= least + 1e-4 * count
    assert loss_at(summed, found) == pytest.approx(loss, abs=1e-3 * count)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_drawn_labels_is_found_again(temperature: float) -> None:
    assert best_temperature(losses(*drawn(20_000, 2, temperature=temperature))) == pytest.approx(
        temperature, rel=0.05
    )


def test_a_perfect_model_is_as_sure_as_the_grid_allows() -> None:
    logits = np.array([[2, 0], [0, 3], [5, 1]], np.float32)
    assert best_temperature(losses(logits, np.array([0, 1, 0]))) == TEMPERATURES[0]


def test_a_model_that_is_always_wrong_is_as_unsure_as_the_grid_allows() -> None:
    logits = np.array([[2, 0], [0, 3], [5, 1]], np.float32)
    assert best_temperature(losses(logits, np.array([1, 0, 1]))) == TEMPERATURES[-1]


def test_constant_logits_have_temperature_1() -> None:
    assert best_temperature(losses(np.zeros((9, 3), np.float32), np.zeros(9, np.int64))) == 1.0
