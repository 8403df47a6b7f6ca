from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.operating_point import THROUGH, operating_point, target_threshold
from dermafed.shared.metrics.decision.score_counts import Alerts
from dermafed.shared.metrics.intervals import CLOPPER_PEARSON
from tests.shared.metrics.decision.sample_lesions import MELANOMAS, counts_of, drawn

MELANOMA = [k / 20 for k in range(1, 21)]
"""Scores 0.05 to 1."""


def test_the_threshold_finds_the_target_and_the_next_one_does_not() -> None:
    counts = counts_of(MELANOMA, [0.06, 0.5])
    assert target_threshold(counts, 0.95) == 0.1
    assert target_threshold(counts, 0.96) == 0.05
    assert target_threshold(counts, 1) == 0.05
    assert target_threshold(counts, 0.9) == 0.15
    assert counts.at(0.1).found == 19


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30), st.floats(0.01, 1))
def test_the_threshold_is_the_highest_that_finds_the_target(scores: list[int], target: float) -> None:
    counts = counts_of([score / 10 for score in scores], [0.5])
    threshold = target_threshold(counts, target)
    assert counts.at(threshold).found >= target * len(scores) - 1e-9
    above = [score / 10 for score in scores if score / 10 > threshold]
    assert not above or counts.at(min(above)).found < target * len(scores)


def test_figures_worked_out_by_hand() -> None:
    """Of 10 melanomas 9 are found, of 100 others 20 raise an alert; one melanoma in 10 lesions."""
    counts = counts_of([0.8] * 9 + [0.1], [0.9] * 20 + [0.2] * 80)
    point = operating_point(counts, 0.5, DecisionSettings(prevalence=0.1, biopsies_per_melanoma=9))
    assert point.alerts == Alerts(10, 9, 100, 20)
    assert (point.sensitivity.value, point.sensitivity.n) == (0.9, 10)
    assert (point.specificity.value, point.specificity.n) == (0.8, 100)
    assert point.ppv.value == pytest.approx(0.09 / (0.09 + 0.18))
    assert point.npv.value == pytest.approx(0.72 / (0.72 + 0.01))
    assert point.needed_to_biopsy.value == pytest.approx(3)
    assert point.net_benefit.value == pytest.approx(0.09 - 0.18 / 9)
    assert point.net_benefit_of_all == pytest.approx(0.1 - 0.9 / 9)
    assert (point.ppv.n, point.npv.n, point.net_benefit.n) == (29, 81, 110)
    assert point.miss_rate.value == pytest.approx(0.1)
    assert point.miss_rate.n == 10


def test_without_a_prevalence_predictive_values_are_the_sets_own() -> None:
    counts = counts_of([0.8] * 9 + [0.1], [0.9] * 20 + [0.2] * 80)
    point = operating_point(counts, 0.5, DecisionSettings())
    assert point.prevalence == pytest.approx(10 / 110)
    assert point.ppv.value == pytest.approx(9 / 29)
    assert point.npv.value == pytest.approx(80 / 81)


def test_intervals_are_those_of_scipy() -> None:
    counts = counts_of([0.8] * 9 + [0.1], [0.9] * 20 + [0.2] * 80)
    point = operating_point(counts, 0.5, DecisionSettings(prevalence=0.1))
    exact = binomtest(9, 10).proportion_ci(0.95, "exact")
    assert point.sensitivity.interval is not None
    assert (point.sensitivity.interval.low, point.sensitivity.interval.high) == pytest.approx(tuple(exact))
    assert point.sensitivity.interval.method == CLOPPER_PEARSON
    missed = point.miss_rate.interval
    assert missed is not None
    assert (missed.low, missed.high) == pytest.approx((1 - exact.high, 1 - exact.low))
    se, sp = (binomtest(k, n).proportion_ci(0.975, "exact") for k, n in ((9, 10), (80, 100)))
    assert point.ppv.interval is not None
    assert point.ppv.interval.low == pytest.approx(se.low * 0.1 / (se.low * 0.1 + (1 - sp.low) * 0.9))
    assert point.ppv.interval.method == THROUGH
    needed = point.needed_to_biopsy.interval
    assert needed is not None
    assert needed.high == pytest.approx(1 / point.ppv.interval.low)


def test_a_threshold_that_nothing_reaches() -> None:
    point = operating_point(counts_of([0.4] * 3, [0.2] * 5), 0.9, DecisionSettings())
    assert (point.sensitivity.value, point.specificity.value) == (0, 1)
    assert point.ppv.value is None
    assert point.needed_to_biopsy.value is None
    assert point.npv.value == pytest.approx(5 / 8)
    assert point.net_benefit.value == 0


def test_alerts_that_find_no_melanoma_have_no_number_needed_to_biopsy() -> None:
    point = operating_point(counts_of([0.1], [0.9]), 0.5, DecisionSettings())
    assert point.ppv.value == 0
    assert point.needed_to_biopsy.value is None
    assert point.to_dict()["needed_to_biopsy"] == {"value": None, "interval": None, "n": 1}


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(DatasetError, match="no melanoma"):
        target_threshold(counts_of([], [0.5]), 0.95)
    with pytest.raises(DatasetError, match="no melanoma"):
        operating_point(counts_of([], [0.5]), 0.5, DecisionSettings())
    with pytest.raises(SettingsError, match="sensitivity is 0"):
        target_threshold(drawn(5, 5), 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prevalence", 0),
        ("prevalence", 1),
        ("sensitivity", 0),
        ("sensitivity", 1.01),
        ("biopsies_per_melanoma", 0),
        ("prevalence", "low"),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=field if value != "low" else "not a number"):
        DecisionSettings.read({field: value})


def test_the_interval_holds_at_the_threshold_that_the_same_melanomas_chose() -> None:
    """In at least 95 % of draws the true sensitivity is in the interval; 3 standard errors are allowed."""
    rng, draws, covered = np.random.default_rng(7), 500, 0
    for _ in range(draws):
        counts = counts_of(MELANOMAS.rvs(60, random_state=rng), [0.5])
        threshold = target_threshold(counts, 0.95)
        interval = operating_point(counts, threshold, DecisionSettings()).sensitivity.interval
        assert interval is not None
        covered += interval.low <= MELANOMAS.sf(threshold) <= interval.high
    assert covered >= draws * (0.95 - 3 * np.sqrt(0.95 * 0.05 / draws))
