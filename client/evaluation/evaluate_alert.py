"""The alert for melanoma on a labelled data set: the clinic's own, or one chosen on this very set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA, lesion_scores
from dermafed.shared.metrics.decision.net_benefit import CurvePoint, decision_curve
from dermafed.shared.metrics.decision.operating_point import (
    OperatingPoint,
    operating_point,
    target_threshold,
)
from dermafed.shared.metrics.decision.score_counts import ScoreCounts

THRESHOLD_PROBABILITIES = (0.05, 0.1, 0.15, 0.2)
"""Of the decision curve: a melanoma is worth 19 to 4 biopsies of other lesions."""

OWN = "the threshold is that of the model's calibration"
CHOSEN_HERE = "the threshold was chosen on these lesions: fl-client calibrate chooses the one to serve with"


@dataclass(frozen=True, slots=True)
class EvaluatedAlert:
    """How good an alert for melanoma is on a data set.

    Attributes:
        point: the figures.
        curve: net benefit of the model's probabilities at other costs.
        note: where the threshold comes from.
    """

    point: OperatingPoint
    curve: tuple[CurvePoint, ...]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """The alert as JSON types."""
        curve = [asdict(point) for point in self.curve]
        return {**self.point.to_dict(), "decision_curve": curve, "note": self.note}


def evaluate_alert(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    lesions: Sequence[str],
    calibration: Calibration | None,
) -> EvaluatedAlert | None:
    """Evaluate the alert on labelled images.

    Args:
        labels: int64 (N,).
        probabilities: the model's own, not calibrated, float32 (N, C).
        classes: of the model.
        lesions: the lesion of each image (N).
        calibration: of the model, if there is one; its probabilities and its alert are used.

    Returns:
        The alert; ``None`` where the set has no melanoma, or nothing else.
    """
    if MELANOMA not in classes:
        return None
    scores = probabilities if calibration is None else _calibrated(probabilities, calibration)
    counts = ScoreCounts.of_lesions(lesion_scores(labels, scores, classes.index(MELANOMA), lesions))
    if not (counts.melanomas and counts.others):
        return None
    rule = None if calibration is None else calibration.alert
    settings = DecisionSettings() if rule is None else rule.settings
    threshold = target_threshold(counts, settings.sensitivity) if rule is None else rule.threshold
    alerted = counts
    if calibration is not None and rule is not None:
        compared = compared_probabilities(probabilities, calibration, rule)
        alerted = ScoreCounts.of_lesions(lesion_scores(labels, compared, classes.index(MELANOMA), lesions))
    return EvaluatedAlert(
        operating_point(alerted, threshold, settings),
        decision_curve(counts, THRESHOLD_PROBABILITIES, settings.prevalence),
        CHOSEN_HERE if rule is None else ". ".join(filter(None, (OWN, rule.note))),
    )


def compared_probabilities(
    probabilities: NDArray[np.float32], calibration: Calibration, rule: AlertRule
) -> NDArray[np.float64]:
    """What the alert compares with its threshold, as the probability of melanoma, (N, C)."""
    return np.stack([calibration.alert_probabilities(row, rule) for row in _logits(probabilities)])


def _calibrated(probabilities: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float64]:
    return np.stack([calibration.probabilities(row) for row in _logits(probabilities)])


def _logits(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log probabilities are logits but for a constant, which does not matter."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probabilities.astype(np.float64)))
