"""The line above every answer: its counts are those of the clinic's alert, and it never reassures."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.client.clinic.answers.melanoma_line import melanoma_line
from dermafed.client.clinic.diagnosis.diagnosis import MissRate
from dermafed.shared.metrics.decision.alert_rule import fit_alert_rule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from tests.client.clinic.answers.sample import ALERTED, PLAIN
from tests.client.clinic.lesions import NOT_FOUND

RATE = MissRate(1 / 30, 0.0008, 0.172, 30, "Cannot be promised here")
ALERT = replace(
    ALERTED, probabilities={"melanoma": 0.27, "nevus": 0.73}, alert_threshold=0.12, miss_rate=RATE
)
BELOW = replace(ALERT, probabilities={"melanoma": 0.05, "nevus": 0.95}, alert=False)


@given(st.integers(1, 120), st.integers(2, 60), st.floats(0.3, 1), st.integers(0, 2**31))
def test_the_counts_are_those_of_the_validation_lesions(
    melanomas: int, others: int, sensitivity: float, seed: int
) -> None:
    scores = np.random.default_rng(seed).random((melanomas + others, 2))
    labels = np.array([0] * melanomas + [1] * others)
    rule = fit_alert_rule(LesionScores(labels, scores, 0), DecisionSettings(sensitivity))
    rate, interval = rule.point.miss_rate, rule.point.miss_rate.interval
    assert rate.value is not None
    assert interval is not None
    made = replace(ALERT, miss_rate=MissRate(rate.value, interval.low, interval.high, rate.n, ""))
    found = sum(score >= rule.threshold for score in scores[:melanomas, 0].tolist())
    those = f"{melanomas} melanoma{'s' if melanomas > 1 else ''}"
    counts = f"Of {those} at this clinic the alert found {found} and missed {melanomas - found}"
    assert f"{counts} (" in melanoma_line(made).figures


def test_an_alert_and_none_state_the_threshold_and_what_the_alert_missed() -> None:
    missed = (
        "Of 30 melanomas at this clinic the alert found 29 and missed 1 "
        "(95 % interval of the share missed: 0 to 17 %)."
    )
    alert, below = melanoma_line(ALERT), melanoma_line(BELOW)
    assert alert.headline == "Alert: melanoma not excluded"
    assert alert.figures == f"Probability of melanoma 27 %; this clinic alerts from 12 %. {missed}"
    assert below.headline == "Below the alert threshold; melanoma not excluded"
    assert below.figures == f"Probability of melanoma 5 %; this clinic alerts from 12 %. {missed}"
    assert below.proof == "Cannot be promised here."


def test_a_threshold_of_all_clinics_is_said_to_be_theirs() -> None:
    few = replace(BELOW, alert_score=0.119, alert_note="Too few melanomas")
    line = melanoma_line(few)
    assert line.figures.startswith(
        "Probability of melanoma 5 %; as if all diagnoses were equally frequent 11.9 %, and the alert of all "
        "clinics starts at 12.0 %. Of 30 melanomas of all clinics the alert found 29"
    )
    assert "this clinic" not in line.figures
    assert line.proof == "Too few melanomas. Cannot be promised here."


def test_without_a_threshold_or_a_class_the_line_says_so() -> None:
    unmeasured = melanoma_line(replace(PLAIN, probabilities={"melanoma": 0.02, "nevus": 0.98}))
    assert unmeasured.headline == "Melanoma not excluded: there is no alert threshold"
    assert "Nobody has measured how many melanomas the model misses at this clinic." in unmeasured.figures
    unknown = melanoma_line(replace(PLAIN, probabilities={"nevus": 1.0}))
    assert unknown.state == "unknown"
    assert unknown.figures == "It can neither find nor exclude one."


@pytest.mark.parametrize("doubt", [{"outside": True}, {"lesion": NOT_FOUND}])
def test_where_the_model_cannot_judge_an_alert_stays_and_none_is_not_said(doubt: dict[str, object]) -> None:
    assert melanoma_line(replace(ALERT, **doubt)).headline == "Alert: melanoma not excluded"  # type: ignore[arg-type]
    assert melanoma_line(replace(BELOW, **doubt)).headline == "Melanoma not excluded"  # type: ignore[arg-type]


def test_no_line_reassures() -> None:
    for made in (ALERT, BELOW, PLAIN, replace(BELOW, outside=True), replace(BELOW, alert_score=0.1)):
        line = melanoma_line(made)
        assert "not excluded" in line.headline or line.state == "unknown"
        said = f"{line.headline} {line.figures}".lower()
        assert not re.search(r"no (alert(?! threshold)|doubt|warning|melanoma)|unlikely|low risk|safe", said)
