"""A clinic's alert for melanoma: fitted to its validation lesions, saved with the model's calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermafed.shared.metrics.decision.conformal_sets import set_thresholds
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.net_benefit import checked_prevalence
from dermafed.shared.metrics.decision.operating_point import OperatingPoint, measure, target_threshold
from dermafed.shared.metrics.decision.promise import Promise, allowed_misses, promise
from dermafed.shared.metrics.decision.score_counts import Alerts, ScoreCounts

STEPS = 10**6
"""Thresholds are rounded down to multiples of 1 / STEPS: a score that another order of additions makes a
little lower than it is here still raises its alert."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When a clinic is alerted to a melanoma, and which diagnoses remain possible.

    Attributes:
        settings: what the clinic chose.
        threshold: a calibrated probability of melanoma at or above it raises an alert.
        alerts: counts of the validation lesions at the threshold.
        sets: threshold of each class for conformal sets, (C,).
    """

    settings: DecisionSettings
    threshold: float
    alerts: Alerts
    sets: tuple[float, ...]

    def __contains__(self, probability: float) -> bool:
        """Whether a lesion with this probability of melanoma raises an alert."""
        return probability >= self.threshold

    @property
    def point(self) -> OperatingPoint:
        """How good the alert is on the validation lesions."""
        alerts, prevalence = self.alerts, self.settings.prevalence
        if prevalence is None:
            prevalence = alerts.melanomas / (alerts.melanomas + alerts.others)
        return measure(alerts, self.threshold, prevalence, self.settings)

    @property
    def promise(self) -> Promise:
        """What can be promised of the alert; where anything can be, the threshold keeps it."""
        allowed = allowed_misses(self.alerts.melanomas)
        return Promise(self.alerts.melanomas, allowed, None if allowed is None else self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """The rule as JSON types, for :meth:`from_dict`."""
        return {
            "settings": self.settings.to_dict(),
            "threshold": self.threshold,
            "alerts": asdict(self.alerts),
            "sets": list(self.sets),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], classes: int) -> AlertRule:
        """Read what :meth:`to_dict` wrote.

        Raises:
            SettingsError: a setting is out of range.
            ValueError: the counts or thresholds are none that lesions could give.
        """
        alerts = Alerts(**values["alerts"])
        threshold, sets = float(values["threshold"]), tuple(map(float, values["sets"]))
        counts = (alerts.found, alerts.melanomas, alerts.alarms, alerts.others)
        whole = all(type(count) is int for count in counts)
        if not whole or not (0 <= counts[0] <= counts[1] and 0 <= counts[2] <= counts[3]):
            raise ValueError("these are no counts of lesions")
        if not (counts[1] and counts[3] and alerts.unit == "lesions"):
            raise ValueError("a rule needs melanomas and other lesions")
        if len(sets) != classes or not all(0 <= each <= 1 for each in (threshold, *sets)):
            raise ValueError("thresholds are probabilities")
        return cls(DecisionSettings.from_dict(values["settings"]), threshold, alerts, sets)


def fit_alert_rule(lesions: LesionScores, settings: DecisionSettings) -> AlertRule:
    """Choose the threshold of an alert.

    It is the highest that finds the share of melanomas that the clinic wants, and that keeps the promise
    where the number of melanomas allows one: the lower of both.

    Args:
        lesions: of a validation set, with calibrated probabilities.
        settings: what the clinic chose.

    Raises:
        DatasetError: there is no melanoma, or nothing else.
    """
    counts = ScoreCounts.of_lesions(lesions)
    checked_prevalence(counts, settings.prevalence)
    target, promised = target_threshold(counts, settings.sensitivity), promise(counts).threshold
    threshold = _rounded_down(target if promised is None else min(target, promised))
    sets = tuple(map(_rounded_down, np.asarray(set_thresholds(lesions)).tolist()))
    return AlertRule(settings, threshold, counts.at(threshold), sets)


def _rounded_down(threshold: float) -> float:
    return math.floor(threshold * STEPS) / STEPS


def alert_metrics(rule: AlertRule) -> dict[str, Any]:
    """An alert's operating point and promise, as JSON types."""
    made = rule.promise
    return {
        "rule": f"the highest threshold that finds {rule.settings.sensitivity:.0%} of the validation "
        "melanomas and keeps the promise, if there is one",
        **rule.point.to_dict(),
        "promise": {"sentence": made.sentence, "possible": made.threshold is not None},
    }
