from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.metrics.decision.score_counts import Alerts, ScoreCounts
from dermafed.shared.metrics.evaluation import BINS, ClinicEvaluation
from tests.shared.metrics.decision.sample_lesions import counts_of

PROBABILITY = st.one_of(st.floats(0, 1), st.integers(0, BINS).map(lambda k: k / BINS))
SIDE = st.lists(PROBABILITY, min_size=1, max_size=8)


def evaluated(melanomas: list[float], others: list[float], *, shows_rare: bool = True) -> ClinicEvaluation:
    scores = np.array([*melanomas, *others])
    labels = np.repeat([0, 1], [len(melanomas), len(others)])
    return ClinicEvaluation.from_predictions(
        labels, np.stack([scores, 1 - scores], axis=1), shows_rare=shows_rare
    )


def test_a_worked_example() -> None:
    counts = counts_of([0.9, 0.4, 0.4], [0.1, 0.4, 0.6])
    assert counts.thresholds.tolist() == [0.1, 0.4, 0.6, 0.9]
    assert counts.found.tolist() == [3, 3, 1, 1]
    assert counts.alarms.tolist() == [3, 2, 1, 0]
    assert counts.missed.tolist() == [0, 0, 2, 2]
    assert counts.at(0.5) == Alerts(3, 1, 3, 1)
    assert counts.at(0.5).missed == 2
    assert counts.at(0.4) == Alerts(3, 3, 3, 2)


def test_nothing_reaches_a_threshold_above_all_scores() -> None:
    assert counts_of([0.5], [0.4]).at(0.6) == Alerts(1, 0, 1, 0)


@given(SIDE, SIDE, PROBABILITY)
def test_counts_are_those_of_the_scores(
    melanomas: list[float], others: list[float], threshold: float
) -> None:
    found, alarms = (sum(score >= threshold for score in side) for side in (melanomas, others))
    alerts = counts_of(melanomas, others).at(threshold)
    assert (alerts.found, alerts.alarms) == (found, alarms)


@settings(max_examples=200)
@given(SIDE, SIDE)
def test_at_each_start_of_a_bin_the_binned_counts_are_those_of_the_scores(
    melanomas: list[float], others: list[float]
) -> None:
    counts = ScoreCounts.of_evaluation(evaluated(melanomas, others), 0)
    assert counts.unit == "images"
    assert counts.thresholds.size == BINS
    assert (np.diff(counts.thresholds) > 0).all()
    for side, counted in ((melanomas, counts.found), (others, counts.alarms)):
        assert counted.tolist() == (np.array(side) >= counts.thresholds[:, None]).sum(axis=1).tolist()


def test_inside_a_bin_the_counts_are_of_the_bins_above() -> None:
    counts = ScoreCounts.of_evaluation(evaluated([0.5004], [0.2]), 0)
    assert counts.at(0.5).found == 1
    assert counts.at(0.5002).found == 0


def test_the_counts_of_clinics_are_those_of_all_their_images() -> None:
    first, second = ([0.7] * 5, [0.1] * 6), ([0.2] * 7, [0.6] * 5)
    merged = ScoreCounts.of_evaluation(evaluated(*first) + evaluated(*second), 0)
    assert merged.at(0.5) == Alerts(12, 5, 11, 5, "images")


def test_a_clinic_with_fewer_than_five_melanomas_adds_none_and_they_are_counted_as_hidden() -> None:
    few = evaluated([0.9] * 4, [0.1] * 6, shows_rare=False)
    enough = evaluated([0.7] * 5, [0.2] * 3, shows_rare=False)
    counts = ScoreCounts.of_evaluation(few + enough, 0)
    assert (counts.melanomas, counts.others) == (5, 6)
    assert (counts.hidden_melanomas, counts.hidden_others) == (4, 3)


def test_the_first_bin_starts_at_zero() -> None:
    counts = ScoreCounts.of_evaluation(evaluated([0.0], [0.0]), 0)
    assert counts.thresholds[0] == 0
    assert counts.thresholds == pytest.approx(np.arange(BINS) / BINS, abs=1e-15)
