"""What one threshold for all clinics would do, and what can be promised of it, from their merged counts."""

from __future__ import annotations

from typing import Any

from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.operating_point import operating_point, target_threshold
from dermafed.shared.metrics.decision.promise import promise
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram

SCORE = "probability of melanoma as if all diagnoses were equally frequent"


def federation_alert(scores: ScoreHistogram) -> dict[str, Any]:
    """The operating point and the promise, as JSON types, with the defaults of a clinic's choice.

    The threshold finds the wanted share of the melanomas and keeps the promise where one is possible, as that
    of a clinic (:mod:`.alert_rule`). Figures that depend on the prevalence hold for that of the lesions.

    Args:
        scores: of all clinics' validation lesions.

    Returns:
        ``score``, ``point``, which is ``None`` without melanomas or without others, and ``promise``.
    """
    counts, settings = scores.at_thresholds, DecisionSettings()
    made, point = promise(counts), None
    if counts.melanomas and counts.others:
        target = target_threshold(counts, settings.sensitivity)
        threshold = target if made.threshold is None else min(target, made.threshold)
        point = operating_point(counts, threshold, settings).to_dict()
    promised = {"sentence": made.sentence, "possible": made.threshold is not None}
    return {"score": SCORE, "point": point, "promise": promised}
