"""The accountant against divergences that are integrated, or summed up over the grid, here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.privacy.accountant import ORDERS, Mechanism, curve_of, epsilon_of, least_noise
from dermafed.shared.privacy.planned_noise import planned_noise

DELTA = 1e-5


def integrated_epsilon(noise: float, rate: float, times: int, delta: float) -> float:
    """Epsilon of the sampled Gaussian: both Renyi divergences by quadrature, the least over the orders."""
    x = np.linspace(-60 * noise - 40, 60 * noise + 40, 40_001)
    log_p = -(x**2) / (2 * noise**2) - math.log(noise * math.sqrt(2 * math.pi))
    ratio = np.log1p(rate * np.expm1(np.clip((2 * x - 1) / (2 * noise**2), -700, 600)))
    best = math.inf
    for order in range(2, 65):
        logs = [log_p + order * ratio, log_p + (1 - order) * ratio]
        tops = [float(log.max()) for log in logs]
        areas = [np.trapezoid(np.exp(log - top), x) for log, top in zip(logs, tops, strict=True)]
        renyi = times * max(map(math.fsum, zip(tops, np.log(areas), strict=True))) / (order - 1)
        rest = math.log1p(-1 / order) - math.log(delta * order) / (order - 1)
        best = min(best, renyi + rest)
    return best


@pytest.mark.parametrize(
    ("noise", "rate", "times"), [(1.0, 0.05, 200), (1.7, 0.25, 64), (4.0, 1.0, 16), (0.8, 0.02, 500)]
)
def test_epsilon_is_that_of_an_independent_integration(noise: float, rate: float, times: int) -> None:
    found = epsilon_of(curve_of([Mechanism(noise, rate, times)]), DELTA)
    assert found == pytest.approx(integrated_epsilon(noise, rate, times, DELTA), rel=0.01)


@pytest.mark.parametrize(("noise", "rate", "shift"), [(2.3, 0.3, (2, 1)), (1.5, 0.9, (1, 0))])
def test_at_whole_orders_the_discrete_gaussian_spends_what_the_continuous_one_does(
    noise: float, rate: float, shift: tuple[int, int]
) -> None:
    grid = np.arange(-80, 81)
    x, y = np.meshgrid(grid, grid, indexing="ij")
    log_p = -(x**2 + y**2) / (2 * noise**2)
    log_p -= np.log(np.exp(log_p).sum())
    ratio = (x * shift[0] + y * shift[1] - (shift[0] ** 2 + shift[1] ** 2) / 2) / noise**2
    mixed = np.log1p(rate * np.expm1(ratio))
    curve = curve_of([Mechanism(noise / math.hypot(*shift), rate, 1)])
    for order in (2, 3, 5):
        added = math.log(np.exp(log_p + order * mixed).sum()) / (order - 1)
        removed = math.log(np.exp(log_p + (1 - order) * mixed).sum()) / (order - 1)
        assert curve[ORDERS.index(order)] == pytest.approx(added, rel=1e-6)
        assert removed <= added


def test_it_never_spends_less_than_the_loss_distribution_of_the_continuous_gaussian_says() -> None:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
    from dp_accounting.pld import PLDAccountant

    tight = PLDAccountant().compose(SelfComposedDpEvent(PoissonSampledDpEvent(0.1, GaussianDpEvent(1.2)), 60))
    found = epsilon_of(curve_of([Mechanism(1.2, 0.1, 60)]), DELTA)
    assert tight.get_epsilon(DELTA) <= found <= 1.2 * tight.get_epsilon(DELTA)


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_the_noise_of_a_plan_spends_its_epsilon_and_no_more(epsilon: float) -> None:
    noise = planned_noise(epsilon, DELTA, 0.2, steps=80, rounds=10)
    for side in ([noise.counts, noise.training], [noise.validation]):
        assert 0.995 * epsilon < epsilon_of(curve_of(side), DELTA) <= epsilon
    less = Mechanism(0.99 * noise.training.noise, 0.2, 80)
    assert epsilon_of(curve_of([noise.counts, less]), DELTA) > epsilon


def test_no_noise_is_enough_for_almost_no_epsilon() -> None:
    with pytest.raises(SettingsError, match="No noise is enough"):
        least_noise(1e-4, 1e-12, rate=1.0, times=1)
