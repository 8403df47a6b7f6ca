"""Net benefit of an alert and decision curves (Vickers and Elkin 2006).

An alert that finds a share Se of melanomas and spares a share Sp of others has, at a prevalence p and the
threshold probability t that a clinic's costs imply, the net benefit

    Se p - (1 - Sp) (1 - p) t / (1 - t)

in melanomas found a lesion examined, less the needless biopsies at their worth. No alert has 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.metrics.decision.score_counts import ScoreCounts


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a decision curve.

    Attributes:
        threshold_probability: in (0, 1).
        model: net benefit of a biopsy where the model's probability reaches the threshold probability.
        all: net benefit of a biopsy of every lesion; of none it is 0.
    """

    threshold_probability: float
    model: float
    all: float


def net_benefit(
    sensitivity: float, specificity: float, prevalence: float, threshold_probability: float
) -> float:
    """Net benefit of an alert, by the formula above.

    Example:
        Se 0.9, Sp 0.6, p 0.1, t 0.1: 0.09 - 0.4 * 0.9 / 9 = 0.05.
    """
    odds = threshold_probability / (1 - threshold_probability)
    return sensitivity * prevalence - (1 - specificity) * (1 - prevalence) * odds


def decision_curve(
    counts: ScoreCounts, threshold_probabilities: Sequence[float], prevalence: float | None = None
) -> tuple[CurvePoint, ...]:
    """Net benefit of a model at several threshold probabilities; its scores must be calibrated.

    Args:
        counts: of a validation or test set.
        threshold_probabilities: each in (0, 1).
        prevalence: in (0, 1); ``None``: the share of melanomas in the set.

    Raises:
        DatasetError: there is no melanoma, or nothing else.
        SettingsError: a number is out of range.
    """
    share = checked_prevalence(counts, prevalence)
    points = []
    for probability in threshold_probabilities:
        if not 0 < probability < 1:
            raise SettingsError(
                f"The threshold probability is {probability}", remedy="Give a number above 0 and below 1"
            )
        alerts = counts.at(probability)
        rates = alerts.found / alerts.melanomas, 1 - alerts.alarms / alerts.others
        model, every = (net_benefit(*each, share, probability) for each in (rates, (1.0, 0.0)))
        points.append(CurvePoint(probability, model, every))
    return tuple(points)


def checked_prevalence(counts: ScoreCounts, prevalence: float | None) -> float:
    """A prevalence to compute with: the one given, or the share of melanomas in the set.

    Raises:
        DatasetError: there is no melanoma, or nothing else, so that no rate of them can be measured.
        SettingsError: it is not above 0 and below 1.
    """
    for count, name in ((counts.melanomas, "melanoma"), (counts.others, "lesion other than melanoma")):
        if not count:
            raise DatasetError(
                f"There is no {name} with a known score", remedy="Give labelled images of both kinds"
            )
    if prevalence is None:
        return counts.melanomas / (counts.melanomas + counts.others)
    if not 0 < prevalence < 1:
        raise SettingsError(f"The prevalence is {prevalence}", remedy="Give a number above 0 and below 1")
    return prevalence
