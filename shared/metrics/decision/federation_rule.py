"""The alert of a clinic with few melanomas: its threshold comes from all clinics' lesions.

A threshold chosen on nine melanomas or fewer is little more than the score of the lowest one. And the
rarity of melanoma in a clinic's own data holds its scores down. So such a clinic's alert compares the score
without the prior, as if all classes were equally frequent, whose histograms the clinics add up.
"""

from __future__ import annotations

from dermafed.shared.metrics.decision.alert_rule import AlertRule, rounded_down, rounded_set_thresholds
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.operating_point import target_threshold
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.metrics.decision.shrunk_threshold import shrunk_threshold

FEWEST_MELANOMAS = 10
"""With fewer validation melanomas a clinic does not choose its threshold by them alone."""


def needs_federation(lesions: LesionScores, together: ScoreHistogram | None) -> bool:
    """Whether a clinic's own melanomas are too few to choose a threshold, and those of all clinics are not.

    Args:
        lesions: the clinic's validation lesions.
        together: those of all clinics, if they were counted.
    """
    if together is None or lesions.is_melanoma.sum() >= FEWEST_MELANOMAS:
        return False
    others, melanomas = together.counts.sum(axis=1)
    return bool(melanomas >= FEWEST_MELANOMAS and others)


def fit_federation_rule(
    own: LesionScores, without_prior: LesionScores, together: ScoreHistogram, settings: DecisionSettings
) -> AlertRule:
    """The rule by all clinics' lesions, where :func:`needs_federation`.

    The threshold is the highest that finds the share of all clinics' melanomas that this clinic wants, and at
    which the miss rate shrunk to the clinic's own stays within 10 % (:mod:`.shrunk_threshold`): the lower of
    both. Nothing is promised of the clinic.

    Args:
        own: the clinic's validation lesions, with calibrated probabilities; its conformal sets are theirs.
        without_prior: the same with the scores without the prior.
        together: such scores of all clinics.
        settings: what the clinic chose.
    """
    counts = together.at_thresholds
    target = target_threshold(counts, settings.sensitivity)
    shrunk = shrunk_threshold(ScoreHistogram.of(without_prior).at_thresholds, counts)
    threshold = rounded_down(target if shrunk is None else min(target, shrunk))
    melanomas = int(own.is_melanoma.sum())
    return AlertRule(settings, threshold, counts.at(threshold), rounded_set_thresholds(own), melanomas)
