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
        own_melanomas: ``None`` where threshold and counts are those of the clinic's own lesions; otherwise
            the number of its validation melanomas, too few to choose by: the threshold and the counts are of
            all clinics' lesions, and it is compared with the probability without the prior
            (:mod:`~dermafed.shared.metrics.decision.federation_rule`).
    """

    settings: DecisionSettings
    threshold: float
    alerts: Alerts
    sets: tuple[float, ...]
    own_melanomas: int | None = None

    def __contains__(self, probability: float) -> bool:
        """Whether a lesion with this probability of melanoma, without the prior if so, raises an alert."""
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
        if self.own_melanomas is not None:  # one threshold for several clinics promises nothing of one
            return Promise(self.own_melanomas, None, None)
        allowed = allowed_misses(self.alerts.melanomas)
        return Promise(self.alerts.melanomas, allowed, None if allowed is None else self.threshold)

    @property
    def note(self) -> str:
        """In plain words that the threshold is not by the clinic's own melanomas; empty where it is."""
        if self.own_melanomas is None:
            return ""
        return (
            f"Too few melanomas to choose a threshold by are among this clinic's validation lesions: "
            f"{self.own_melanomas}. So the threshold and the miss rate are those of all clinics together, "
            "for the probability as if all diagnoses were equally frequent"
        )

    def to_dict(self) -> dict[str, Any]:
        """The rule as JSON types, for :meth:`from_dict`."""
        own = {} if self.own_melanomas is None else {"own_melanomas": self.own_melanomas}
        return {
            **own,
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
        own = values.get("own_melanomas")
        if own is not None and not (type(own) is int and own >= 0):
            raise ValueError("this is no number of melanomas")
        return cls(DecisionSettings.from_dict(values["settings"]), threshold, alerts, sets, own)


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
    threshold = rounded_down(target if promised is None else min(target, promised))
    return AlertRule(settings, threshold, counts.at(threshold), rounded_set_thresholds(lesions))


def rounded_set_thresholds(lesions: LesionScores) -> tuple[float, ...]:
    """Thresholds of conformal sets, rounded down to multiples of 1 / STEPS, (C,)."""
    return tuple(map(rounded_down, np.asarray(set_thresholds(lesions)).tolist()))


def rounded_down(threshold: float) -> float:
    """A threshold, rounded down to a multiple of 1 / STEPS."""
    return math.floor(threshold * STEPS) / STEPS


def alert_metrics(rule: AlertRule) -> dict[str, Any]:
    """An alert's operating point and promise, as JSON types."""
    made, whose = rule.promise, "validation melanomas and keeps the promise, if there is one"
    if rule.own_melanomas is not None:
        whose = "validation melanomas of all clinics, and misses few of this clinic's"
    return {
        "rule": f"the highest threshold that finds {rule.settings.sensitivity:.0%} of the {whose}",
        **({"note": rule.note} if rule.note else {}),
        **rule.point.to_dict(),
        "promise": {"sentence": made.sentence, "possible": made.threshold is not None},
    }
