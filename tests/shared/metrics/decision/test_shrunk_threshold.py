from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.metrics.decision.score_counts import ScoreCounts
from dermafed.shared.metrics.decision.shrunk_threshold import shrunk_threshold
from dermafed.shared.metrics.evaluation import BINS

GRID = np.arange(BINS) / BINS


def binned(melanomas: list[float] | np.ndarray) -> ScoreCounts:
    scores = np.asarray(melanomas, float)
    found = (scores >= GRID[:, None]).sum(axis=1)
    return ScoreCounts(GRID, found, np.zeros(BINS, int), "images")


def test_worked_by_hand() -> None:
    """All: 100 melanomas, at 0.005 to 0.995, of which a share m is missed."""
    together = binned((np.arange(100) + 0.5) / 100)
    # No own one: (19 m + 1) / 20 <= 0.1 holds up to m = 5 / 100.
    assert shrunk_threshold(binned([]), together) == 0.055
    # One own, found up to 0.3: (19 m + 1) / 21 <= 0.1 does too.
    assert shrunk_threshold(binned([0.3]), together) == 0.055
    # 61 own, found up to 0.5: (19 m + 1) / 81 <= 0.1 holds up to m = 37 / 100.
    assert shrunk_threshold(binned([0.5] * 61), together) == 0.375


def test_own_melanomas_that_score_low_lower_the_threshold() -> None:
    together = binned((np.arange(100) + 0.5) / 100)
    assert shrunk_threshold(binned([0.02] * 10), together) == 0.02


def test_a_strong_prior_is_the_clinics_threshold_together() -> None:
    together = binned((np.arange(100) + 0.5) / 100)
    found = shrunk_threshold(binned([0.9] * 10), together, strength=10**9)
    assert found == pytest.approx(0.105)


def test_without_any_melanoma_or_with_too_weak_a_prior_there_is_no_threshold() -> None:
    assert shrunk_threshold(binned([]), binned([])) is None
    assert shrunk_threshold(binned([0.5]), binned([0.5]), strength=1) is None


def test_other_thresholds_are_refused() -> None:
    other = ScoreCounts(GRID[1:], np.zeros(BINS - 1, int), np.zeros(BINS - 1, int))
    with pytest.raises(ValueError, match="same thresholds"):
        shrunk_threshold(binned([0.5]), other)


def test_over_clinics_that_differ_it_holds_on_average_and_at_more_of_them_than_one_threshold_for_all() -> (
    None
):
    """Scores of clinic k are U ** power_k, so a threshold t misses t ** (1 / power_k)."""
    rng = np.random.default_rng(2)
    powers = np.exp(rng.normal(0, 0.4, 200))
    sizes = rng.integers(5, 60, 200)
    clinics = [binned(rng.random(size) ** power) for size, power in zip(sizes, powers, strict=True)]
    together = ScoreCounts(GRID, sum(each.found for each in clinics), np.zeros(BINS, int))
    found = np.array([shrunk_threshold(each, together) for each in clinics], float)
    rates = found ** (1 / powers)
    one = GRID[np.flatnonzero(together.missed <= 0.1 * together.melanomas)[-1]]
    assert np.average(rates, weights=sizes) <= 0.1
    assert (rates > 0.1).mean() < 0.8 * (one ** (1 / powers) > 0.1).mean()
