"""Whether a clinic's share of alerts departs from what its calibration lets expect."""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.shared.counts.monthly_counts import Expected, MonthlyCounts
from dermafed.shared.counts.rounding import FEWEST, HIDDEN, STEP
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.intervals import clopper_pearson


@dataclass(frozen=True, slots=True)
class AlertShare:
    """The share of answers that raised an alert in a time, from rounded counts.

    Attributes:
        when: the time, in words.
        answers: at least so many.
        alerts: at least so many.
        low: lower end of the exact 95 % interval, at the least that the rounded counts allow.
        high: upper end, at the most that they allow.
    """

    when: str
    answers: int
    alerts: int
    low: float
    high: float

    def departure(self, expected: Expected) -> str:
        """How it departs from the expected share, as a sentence; empty where the two intervals overlap."""
        if expected.low <= self.high and self.low <= expected.high:
            return ""
        more = self.low > expected.high
        return (
            f"{'More' if more else 'Fewer'} alerts than the calibration lets expect, {self.when}: "
            f"{_percent(self.low)} to {_percent(self.high)} of some {self.answers} answers, expected were "
            f"{_percent(expected.low)} to {_percent(expected.high)}. Patients, cameras or the model's use "
            "may have changed: look into it with the clinic."
        )


def expected_alerts(rule: AlertRule) -> Expected:
    """The share of lesions that raise an alert, from the counts of the validation lesions.

    Where the clinic has set a prevalence p it is sensitivity x p + (1 - specificity) x (1 - p), and its ends
    are those of the two exact intervals at 97.5 %, which hold together at 95 % (Bonferroni).
    """
    alerts, prevalence = rule.alerts, rule.settings.prevalence
    if prevalence is None:
        raised, lesions = alerts.found + alerts.alarms, alerts.melanomas + alerts.others
        interval = clopper_pearson(raised, lesions)
        assert interval is not None
        return Expected(interval.low, raised / lesions, interval.high)
    found = clopper_pearson(alerts.found, alerts.melanomas, 0.975)
    alarmed = clopper_pearson(alerts.alarms, alerts.others, 0.975)
    assert found is not None
    assert alarmed is not None

    def mixed(of_melanomas: float, of_others: float) -> float:
        return prevalence * of_melanomas + (1 - prevalence) * of_others

    share = mixed(alerts.found / alerts.melanomas, alerts.alarms / alerts.others)
    return Expected(mixed(found.low, alarmed.low), share, mixed(found.high, alarmed.high))


def alert_share(when: str, answers: int, alerts: int) -> AlertShare | None:
    """The share of alerts that two rounded counts allow; ``None`` where one is hidden, or answers are few.

    Example:
        At least 40 answers and 10 alerts: from 10 of 44 to 14 of 40.
    """
    if HIDDEN in (answers, alerts) or answers < FEWEST:
        return None
    most = alerts + STEP - 1
    low = clopper_pearson(alerts, answers + STEP - 1)
    high = clopper_pearson(most, max(answers, most))
    assert low is not None
    assert high is not None
    return AlertShare(when, answers, alerts, low.low, high.high)


def alert_departures(counts: MonthlyCounts) -> list[str]:
    """Where published counts depart from expectation, in sentences: in the last month, and in all months.

    Not in each month: of twelve, some would depart by chance.
    """
    if counts.expected is None:
        return []
    last, total = counts.counts[-1], counts.totals
    shares = (
        alert_share(f"in {counts.months[-1]}", int(last[0]), int(last[1])),
        alert_share("in twelve months", int(total[0]), int(total[1])),
    )
    found = (share.departure(counts.expected) for share in shares if share is not None)
    return [sentence for sentence in found if sentence]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
