"""An operating point: the threshold of an alert, and how good the alert is at it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.net_benefit import checked_prevalence, net_benefit
from dermafed.shared.metrics.decision.score_counts import Alerts, ScoreCounts
from dermafed.shared.metrics.intervals import Interval, clopper_pearson

THROUGH = "Clopper-Pearson of sensitivity and specificity at 97.5 % each, carried through"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its 95 % interval, and the number of lesions it rests on.

    ``value`` is ``None`` where it is undefined: a positive predictive value where nothing is alerted.
    """

    value: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """An alert at one threshold, at the prevalence and the costs that a clinic has.

    Attributes:
        threshold: a score at or above it raises an alert.
        alerts: the counts.
        prevalence: share of melanomas that the figures below hold for.
        threshold_probability: what the clinic's costs imply, for the net benefit.
        sensitivity: share of melanomas that are found.
        specificity: share of others that are spared.
        ppv: positive predictive value, the share of melanomas among alerts.
        npv: negative predictive value, the share of others among lesions without an alert.
        needed_to_biopsy: alerts for each melanoma found, 1 / PPV.
        net_benefit: melanomas found a lesion examined, less the needless biopsies at their worth.
        net_benefit_of_all: the same for a biopsy of every lesion; of none it is 0.
    """

    threshold: float
    alerts: Alerts
    prevalence: float
    threshold_probability: float
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    needed_to_biopsy: Estimate
    net_benefit: Estimate
    net_benefit_of_all: float

    @property
    def miss_rate(self) -> Estimate:
        """Share of melanomas that are missed."""
        found = self.sensitivity
        assert found.value is not None
        assert found.interval is not None
        low, high = 1 - found.interval.high, 1 - found.interval.low
        return Estimate(1 - found.value, Interval(low, high, found.interval.method), found.n)

    def to_dict(self) -> dict[str, Any]:
        """The operating point as JSON types."""
        return asdict(self) | {"miss_rate": asdict(self.miss_rate)}


def target_threshold(counts: ScoreCounts, sensitivity: float) -> float:
    """The highest threshold at which an alert finds a share of the melanomas.

    It is the score of the melanoma of a rank that follows from their number alone, so the exact interval of
    the sensitivity holds although the same melanomas chose the threshold (Wilks 1941, of tolerance limits).

    Args:
        counts: of a validation set.
        sensitivity: in (0, 1].

    Raises:
        DatasetError: there is no melanoma.
        SettingsError: the sensitivity is out of range.

    Example:
        Of 20 melanomas 19 have to be found for 0.95: the second lowest score.
    """
    if not 0 < sensitivity <= 1:
        raise SettingsError(f"The sensitivity is {sensitivity}", remedy="Give a number above 0 and at most 1")
    if not counts.melanomas:
        raise DatasetError("There is no melanoma with a known score", remedy="Give images of melanomas")
    needed = math.ceil(sensitivity * counts.melanomas - 1e-9)
    return float(counts.thresholds[np.flatnonzero(counts.found >= needed)[-1]])


def operating_point(counts: ScoreCounts, threshold: float, settings: DecisionSettings) -> OperatingPoint:
    """Measure an alert.

    Args:
        counts: of a validation or test set.
        threshold: of the alert.
        settings: prevalence and costs; without a prevalence, that of the set.

    Raises:
        DatasetError: there is no melanoma, or nothing else.
    """
    return measure(counts.at(threshold), threshold, checked_prevalence(counts, settings.prevalence), settings)


def measure(
    alerts: Alerts, threshold: float, prevalence: float, settings: DecisionSettings
) -> OperatingPoint:
    """The figures of an alert from its counts; see :func:`operating_point`.

    Args:
        alerts: with at least one melanoma and one other.
        threshold: at which they were counted.
        prevalence: in (0, 1).
        settings: whose costs are used.
    """
    probability = settings.threshold_probability
    benefit = partial(net_benefit, threshold_probability=probability)
    carried = _Carried(alerts, prevalence)
    ppv = carried.estimate(_ppv, alerts.found + alerts.alarms)
    return OperatingPoint(
        threshold,
        alerts,
        prevalence,
        probability,
        _share(alerts.found, alerts.melanomas),
        _share(alerts.others - alerts.alarms, alerts.others),
        ppv,
        carried.estimate(_npv, alerts.missed + alerts.others - alerts.alarms),
        _inverse(ppv),
        carried.estimate(benefit, alerts.melanomas + alerts.others),
        net_benefit(1, 0, prevalence, probability),
    )


Figure = Callable[[float, float, float], float]


@dataclass(frozen=True, slots=True)
class _Carried:
    """Figures that rise with sensitivity and specificity; so their intervals are those of the corners.

    Both intervals hold together with at least 95 %, as each does with 97.5 % (Bonferroni).
    """

    alerts: Alerts
    prevalence: float

    def estimate(self, figure: Figure, n: int) -> Estimate:
        alerts = self.alerts
        found, spared = alerts.found, alerts.others - alerts.alarms
        if n == 0:
            return Estimate(None, None, 0)
        first = clopper_pearson(found, alerts.melanomas, 0.975)
        second = clopper_pearson(spared, alerts.others, 0.975)
        assert first is not None
        assert second is not None
        value = figure(found / alerts.melanomas, spared / alerts.others, self.prevalence)
        low, high = (
            figure(*corner, self.prevalence)
            for corner in ((first.low, second.low), (first.high, second.high))
        )
        return Estimate(value, Interval(low, high, THROUGH), n)


def _share(successes: int, trials: int) -> Estimate:
    return Estimate(successes / trials, clopper_pearson(successes, trials), trials)


def _ppv(sensitivity: float, specificity: float, prevalence: float) -> float:
    hits = sensitivity * prevalence
    return hits / (hits + (1 - specificity) * (1 - prevalence))


def _npv(sensitivity: float, specificity: float, prevalence: float) -> float:
    spared = specificity * (1 - prevalence)
    return spared / (spared + (1 - sensitivity) * prevalence)


def _inverse(ppv: Estimate) -> Estimate:
    """1 / PPV; without an upper limit where the PPV has no lower one above 0."""
    if not ppv.value or ppv.interval is None or not ppv.interval.low:
        return Estimate(1 / ppv.value if ppv.value else None, None, ppv.n)
    return Estimate(1 / ppv.value, Interval(1 / ppv.interval.high, 1 / ppv.interval.low, THROUGH), ppv.n)
