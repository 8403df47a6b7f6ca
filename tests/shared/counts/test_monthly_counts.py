"""What a clinic tells of its months, and when its alerts depart from expectation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy.stats import binomtest

from dermafed.shared.counts.alert_drift import alert_departures, alert_share, expected_alerts
from dermafed.shared.counts.monthly_counts import MonthlyCounts, first_day, last_month
from dermafed.shared.counts.rounding import HIDDEN
from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_counts import Alerts
from dermafed.shared.protocol.count_messages import decode_monthly_counts, encode_monthly_counts
from tests.shared.counts.sample_months import MARCH, sample_months


def test_months_by_hand() -> None:
    counts = sample_months(m1=(9, 9, 9, 9), m2=(23, 4, 0, 0)).published()
    assert (counts.months[0], counts.months[-1]) == ("2026-04", "2027-03")
    assert counts.counts[:3].tolist() == [[0, 0, 0, 0], [20, 0, 0, 0], [40, 15, 10, 5]]  # nothing of nine
    # Of all: 9 + 23 + 10 x 40 answers, 9 + 4 + 10 x 17 alerts, 9 + 10 x 11 judged, 9 + 10 x 6 disagreements.
    assert counts.totals.tolist() == [430, 180, 115, 65]


def test_no_month_is_told_where_the_total_would_tell_all() -> None:
    counts = sample_months(answers=60)
    counts.counts[:, 3], counts.totals[3] = 4, 48  # 4 in each month: 45 of at most 48
    shown = counts.published()
    assert (shown.counts[:, 3] == HIDDEN).all()
    assert shown.totals[3] == 45
    for again in (
        decode_monthly_counts(encode_monthly_counts(shown)),
        MonthlyCounts.from_dict(shown.to_dict()),
    ):
        assert again.to_dict() == shown.to_dict()


def test_too_few_answers_tell_nothing() -> None:
    with pytest.raises(DatasetError):
        sample_months(answers=0).published()


@pytest.mark.parametrize("wrong", ["exact", "more alerts than answers"])
def test_what_may_not_be_told_is_refused(wrong: str) -> None:
    counts = sample_months()
    if wrong != "exact":
        counts = replace(counts.published(), totals=np.array([100, 140, 0, 0]))
    with pytest.raises(FederationError):
        decode_monthly_counts(encode_monthly_counts(counts))


def test_the_share_of_alerts_has_the_widest_interval_that_rounding_leaves() -> None:
    share = alert_share("in March", 40, 10)
    assert share is not None
    ends = [binomtest(k, n).proportion_ci(0.95, "exact") for k in range(10, 15) for n in range(40, 45)]
    assert share.low == pytest.approx(min(end.low for end in ends))
    assert share.high == pytest.approx(max(end.high for end in ends))
    assert alert_share("in March", 40, HIDDEN) is None


def test_a_departure_is_said_where_the_intervals_do_not_overlap() -> None:
    more = alert_departures(sample_months().published())  # 17 of 40 in a month, 5 to 12 % are expected
    assert [sentence.split(":")[0] for sentence in more] == [
        "More alerts than the calibration lets expect, in 2027-03",
        "More alerts than the calibration lets expect, in twelve months",
    ]
    usual = sample_months(**{f"m{month}": (40, 3, 0, 0) for month in range(1, 13)}).published()
    assert alert_departures(usual) == []
    none = sample_months(answers=90, **{f"m{month}": (90, 0, 0, 0) for month in range(1, 13)}).published()
    assert [sentence.split(":")[0] for sentence in alert_departures(none)] == [
        "Fewer alerts than the calibration lets expect, in twelve months"
    ]
    assert alert_departures(replace(sample_months().published(), expected=None)) == []


def test_what_to_expect_is_that_of_the_validation_lesions_or_of_the_prevalence() -> None:
    alerts = Alerts(melanomas=20, found=19, others=180, alarms=36)
    plain = expected_alerts(AlertRule(DecisionSettings(), 0.1, alerts, (0.1, 0.1)))
    exact = binomtest(55, 200).proportion_ci(0.95, "exact")
    assert (plain.low, plain.share, plain.high) == pytest.approx((exact.low, 0.275, exact.high))
    screening = expected_alerts(AlertRule(DecisionSettings(prevalence=0.02), 0.1, alerts, (0.1, 0.1)))
    assert screening.share == pytest.approx(0.02 * 0.95 + 0.98 * 0.2)
    alone = binomtest(36, 180).proportion_ci(0.975, "exact")
    for end, others in ((screening.low, alone.low), (screening.high, alone.high)):
        assert 0.98 * others < end < 0.98 * others + 0.02


def test_only_complete_months_count() -> None:
    assert last_month(date(2027, 4, 1)) == last_month(date(2027, 4, 30)) == MARCH
    assert first_day(MARCH + 1) == date(2027, 4, 1)
    assert first_day(last_month(date(2027, 1, 5))) == date(2026, 12, 1)
