from __future__ import annotations

import json

import numpy as np
import pytest

from dermafed.shared.metrics.decision.alert_rule import AlertRule, alert_metrics
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.federation_rule import fit_federation_rule, needs_federation
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.score_counts import Alerts
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from tests.shared.metrics.decision.sample_lesions import two_classes

DEFAULTS = DecisionSettings()
# Forty melanomas of all clinics, 0.3005 to 0.6905, and ten other lesions of 0.4.
TOGETHER = ScoreHistogram.of(two_classes(np.arange(30, 70) / 100 + 0.0005, np.full(10, 0.4)))


def own(melanomas: list[float], others: int = 5) -> LesionScores:
    return two_classes(np.array(melanomas), np.full(others, 0.2))


def fitted(melanomas: list[float], settings: DecisionSettings = DEFAULTS) -> AlertRule:
    return fit_federation_rule(own([0.05] * len(melanomas)), own(melanomas), TOGETHER, settings)


@pytest.mark.parametrize(("melanomas", "needs"), [(0, True), (9, True), (10, False)])
def test_ten_melanomas_are_enough(melanomas: int, needs: bool) -> None:
    assert needs_federation(own([0.5] * melanomas), TOGETHER) is needs


def test_the_federations_lesions_have_to_be_more() -> None:
    few = ScoreHistogram.of(two_classes(np.full(9, 0.5), np.full(9, 0.4)))
    benign = ScoreHistogram.of(two_classes(np.zeros(0), np.full(9, 0.4)))
    malign = ScoreHistogram.of(two_classes(np.full(12, 0.5), np.zeros(0)))
    assert not any(needs_federation(own([0.5]), each) for each in (few, benign, malign, None))


def test_without_own_melanomas_the_threshold_is_that_of_all_clinics() -> None:
    rule = fitted([])
    # 95 % of 40 are 38: two may be missed, 0.3005 and 0.3105. Shrunk, (19 * 2/40 + 1) / 20 = 0.0975.
    assert rule.threshold == 0.32
    assert rule.alerts == Alerts(40, 38, 10, 10)
    assert rule.own_melanomas == 0
    assert rule.promise.sentence == "Cannot be promised here: 0 melanomas, at least 29 are needed"


def test_own_misses_lower_the_threshold() -> None:
    # Two own ones at 0.3105: at 0.32, (2 + 19 * 2/40 + 1) / 22 = 0.18; at 0.31, (19 * 1/40 + 1) / 22 = 0.07.
    assert fitted([0.3105, 0.3105]).threshold == 0.31
    # Found ones do not raise it: the clinic wants 95 % of all clinics' melanomas.
    assert fitted([0.9] * 9).threshold == 0.32


def test_the_clinics_target_is_that_of_all_melanomas() -> None:
    assert fitted([], DecisionSettings(sensitivity=1)).threshold == 0.3
    assert fitted([], DecisionSettings(sensitivity=0.5)).threshold == 0.32  # within 10 % of misses


def test_it_is_said_in_words_and_survives_being_written() -> None:
    rule = fitted([0.5, 0.6, 0.7])
    assert "Too few melanomas" in rule.note
    assert "lesions: 3." in rule.note
    values = json.loads(json.dumps(rule.to_dict()))
    assert AlertRule.from_dict(values, 2) == rule
    metrics = alert_metrics(rule)
    assert metrics["note"] == rule.note
    assert "all clinics" in metrics["rule"]
    assert metrics["promise"]["possible"] is False
    assert metrics["miss_rate"]["n"] == 40
    for wrong in (-1, 2.5, "3", True):
        with pytest.raises(ValueError, match="melanomas"):
            AlertRule.from_dict(values | {"own_melanomas": wrong}, 2)


def test_conformal_sets_stay_those_of_the_clinics_own_lesions() -> None:
    rule = fitted([0.5] * 3)
    assert rule.sets[0] == 0
