"""The operating points of alerts on the test lesions of clinics, as JSON types."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.operating_point import measure
from dermafed.shared.metrics.decision.score_counts import Alerts

SETTINGS = DecisionSettings()
"""A clinic's defaults: 95 % of melanomas are to be found."""


def alert_points(alerts: Mapping[str, Alerts], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """The points of each clinic, and of ``all`` lesions together, each at its clinic's threshold.

    A point is ``None`` without melanomas or without other lesions; the threshold of ``all`` is ``None`` where
    the clinics' differ.

    Args:
        alerts: counts of the test lesions, by clinic; at least one.
        thresholds: at which they were counted.
    """
    every = set(thresholds.values())
    together = _point(reduce(add, alerts.values()), max(every))
    if together is not None and len(every) > 1:
        together["threshold"] = None
    return {
        "all": together,
        "clinics": {name: _point(each, thresholds[name]) for name, each in alerts.items()},
    }


def _point(alerts: Alerts, threshold: float) -> dict[str, Any] | None:
    if not (alerts.melanomas and alerts.others):
        return None
    share = alerts.melanomas / (alerts.melanomas + alerts.others)
    return measure(alerts, threshold, share, SETTINGS).to_dict()
