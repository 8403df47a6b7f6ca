from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.metrics.decision.alert_rule import AlertRule, alert_metrics, fit_alert_rule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_counts import Alerts
from tests.shared.metrics.decision.sample_lesions import MELANOMAS, OTHERS, two_classes

DEFAULTS = DecisionSettings()


def fitted(melanomas: int, settings: DecisionSettings = DEFAULTS, seed: int = 0) -> AlertRule:
    rng = np.random.default_rng(seed)
    scores = MELANOMAS.rvs(melanomas, random_state=rng), OTHERS.rvs(100, random_state=rng)
    return fit_alert_rule(two_classes(*scores), settings)


def test_the_threshold_finds_the_target_and_is_rounded_down() -> None:
    melanomas = np.array([0.123_456_78] + [0.3] * 18 + [0.05])
    rule = fit_alert_rule(two_classes(melanomas, np.array([0.2, 0.1])), DEFAULTS)
    assert rule.threshold == 0.123456
    assert rule.alerts == Alerts(20, 19, 2, 1)
    assert 0.123456 in rule
    assert 0.1234 not in rule
    assert rule.promise.sentence == "Cannot be promised here: 20 melanomas, at least 29 are needed"


def test_where_a_promise_is_possible_the_threshold_keeps_it() -> None:
    """Of 30 melanomas the target allows one miss, the promise none."""
    melanomas = np.arange(1, 31) / 100
    rule = fit_alert_rule(two_classes(melanomas, np.array([0.5])), DEFAULTS)
    assert (rule.threshold, rule.alerts.missed) == (0.01, 0)
    assert rule.promise.threshold == 0.01
    assert rule.promise.allowed == 0


def test_a_higher_target_than_the_promise_needs_stays() -> None:
    melanomas = np.arange(1, 201) / 1000
    rule = fit_alert_rule(two_classes(melanomas, np.array([0.5])), DecisionSettings(sensitivity=0.99))
    assert rule.alerts.missed == 2


def test_the_prevalence_of_the_point_is_the_clinics_or_the_validation_images() -> None:
    assert fitted(50).point.prevalence == pytest.approx(1 / 3)
    assert fitted(50, DecisionSettings(prevalence=0.02)).point.prevalence == 0.02


@given(st.integers(1, 60), st.integers(0, 100))
def test_a_rule_survives_being_written_and_read(melanomas: int, seed: int) -> None:
    rule = fitted(melanomas, DecisionSettings(sensitivity=0.9, prevalence=0.1), seed)
    assert AlertRule.from_dict(json.loads(json.dumps(rule.to_dict())), 2) == rule


def test_the_metrics_are_json() -> None:
    metrics = json.loads(json.dumps(alert_metrics(fitted(50)), allow_nan=False))
    assert metrics["alerts"]["melanomas"] == 50
    assert metrics["promise"]["possible"] is True
    assert metrics["miss_rate"]["n"] == 50
    assert metrics["sensitivity"]["value"] + metrics["miss_rate"]["value"] == pytest.approx(1)


@pytest.mark.parametrize("scores", [([], [0.5]), ([0.5], [])])
def test_without_melanomas_or_others_there_is_no_rule(scores: tuple[list[float], list[float]]) -> None:
    with pytest.raises(DatasetError, match="There is no"):
        fit_alert_rule(two_classes(*map(np.array, scores)), DEFAULTS)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("alerts", {"found": 51}),
        ("alerts", {"alarms": -1}),
        ("alerts", {"others": 0, "alarms": 0}),
        ("alerts", {"found": 10.5}),
        ("alerts", {"unit": "patients"}),
        ("settings", {"prevalence": 1}),
        ("settings", {"sensitivity": None}),
        ("", {"threshold": float("nan")}),
        ("", {"threshold": 2}),
        ("", {"sets": [0.5]}),
        ("", {"sets": [0.5, float("nan")]}),
    ],
)
def test_a_damaged_rule_is_refused(part: str, change: dict[str, Any]) -> None:
    values = fitted(50).to_dict()
    values = values | change if not part else values | {part: values[part] | change}
    with pytest.raises((ValueError, SettingsError)):
        AlertRule.from_dict(values, 2)
