"""The alert that each clinic of a run would serve, by its node's own code, on its test lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.decision.alert_rule import AlertRule, fit_alert_rule
from dermafed.shared.metrics.decision.federation_rule import fit_federation_rule, needs_federation
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.score_counts import ScoreCounts
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.simulation.runs.alert_points import SETTINGS, alert_points


@dataclass(frozen=True, slots=True, eq=False)
class ClinicScores:
    """A clinic's lesions, with the probabilities that its offsets give, and with those without the prior."""

    validation: LesionScores
    test: LesionScores
    validation_without_prior: LesionScores
    test_without_prior: LesionScores


def own_alerts(clinics: Mapping[str, ClinicScores], *, one_model: bool) -> dict[str, Any] | None:
    """Each clinic's alert on its own test lesions, and all together.

    Args:
        clinics: by name.
        one_model: whether the clinics share the model, and so count its scores together: what a clinic with
            few melanomas takes its threshold from.

    Returns:
        As of :func:`.alert_points`, with ``rules``: of each clinic the number of validation melanomas, and
        whether its threshold is that of all clinics. Clinics that can have no alert are left out; ``None`` if
        none can.
    """
    together = _together(clinics) if one_model else None
    fitted = {name: _rule(own, together) for name, own in clinics.items()}
    rules = {name: rule for name, rule in fitted.items() if rule is not None}
    if not rules:
        return None
    alerts = {}
    for name, rule in rules.items():
        few = rule.own_melanomas is not None
        scores = clinics[name].test_without_prior if few else clinics[name].test
        alerts[name] = ScoreCounts.of_lesions(scores).at(rule.threshold)
    about = {
        name: {
            "validation_melanomas": int(clinics[name].validation.is_melanoma.sum()),
            "of_all_clinics": rule.own_melanomas is not None,
        }
        for name, rule in rules.items()
    }
    thresholds = {name: rule.threshold for name, rule in rules.items()}
    return {"rules": about, **alert_points(alerts, thresholds)}


def _together(clinics: Mapping[str, ClinicScores]) -> ScoreHistogram | None:
    found = []
    for own in clinics.values():
        try:
            found.append(ScoreHistogram.of(own.validation_without_prior, shows_rare=False))
        except DatasetError:  # no class has enough lesions: a clinic would not answer
            continue
    return reduce(add, found) if found else None


def _rule(own: ClinicScores, together: ScoreHistogram | None) -> AlertRule | None:
    if together is not None and needs_federation(own.validation, together):
        return fit_federation_rule(own.validation, own.validation_without_prior, together, SETTINGS)
    try:
        return fit_alert_rule(own.validation, SETTINGS)
    except DatasetError:
        return None
