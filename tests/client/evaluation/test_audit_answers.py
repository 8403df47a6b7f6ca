"""What an audit takes for an answer: the calibrated alert or the most probable class, by lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.evaluation.audit_model import measure_effects
from dermafed.shared.artefacts.artefact_predictions import ArtefactPredictions, Probabilities
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_counts import Alerts
from dermafed.shared.metrics.shortcuts.shortcut_effect import ShortcutEffect
from tests.shared.metrics.calibration.sample_calibration import CLASSES, fitted

# At a temperature near 2 the probabilities of melanoma become 0.07 and 0.33.
QUIET, ALERTED, MELANOMA = (0.01, 0.9, 0.09), (0.3, 0.6, 0.1), (0.8, 0.1, 0.1)
RULE = AlertRule(DecisionSettings(), 0.2, Alerts(40, 38, 100, 30), (0.0,) * 3)
WITH_ALERT = replace(fitted(), alert=RULE)


def rows(*probabilities: Sequence[float]) -> Probabilities:
    return np.array(probabilities, np.float32)


def effects(
    before: Probabilities, after: Mapping[str, Probabilities], lesions: Sequence[str], *, alert: bool
) -> dict[str, ShortcutEffect]:
    records = tuple(
        LesionRecord(f"image_{number}", Path("image.jpg"), "melanoma" if lesion < "f" else "nevus", lesion)
        for number, lesion in enumerate(lesions)
    )
    predictions = ArtefactPredictions(records, before, dict(after), dict.fromkeys(after, 0.0), ())
    return measure_effects(predictions, CLASSES, WITH_ALERT if alert else None)


def test_the_answer_is_the_calibrated_alert_where_there_is_one() -> None:
    before = rows(*[QUIET] * 6, *[ALERTED] * 6)
    after = rows(*[QUIET] * 4, *[ALERTED] * 8)
    by_alert = effects(before, {"ink": after}, "abcdefghijkl", alert=True)["ink"]
    assert by_alert.to_melanoma is not None
    assert by_alert.to_benign is not None
    assert (by_alert.to_melanoma.flipped, by_alert.to_melanoma.lesions) == (2, 6)
    assert (by_alert.to_benign.flipped, by_alert.to_benign.lesions) == (0, 6)
    by_class = effects(before, {"ink": after}, "abcdefghijkl", alert=False)["ink"]
    assert by_class.to_melanoma is not None
    assert (by_class.to_melanoma.flipped, by_class.to_melanoma.lesions) == (0, 12)
    assert by_class.to_benign is None


def test_one_image_of_a_lesion_is_enough() -> None:
    """Each lesion has two images; with ink one of lesion a's, and both of lesion b's, become melanoma."""
    lesions = [name for name in "abcdef" for _ in range(2)]
    before = rows(*[QUIET] * 12)
    after = rows(MELANOMA, QUIET, MELANOMA, MELANOMA, *[QUIET] * 8)
    ink = effects(before, {"ink": after}, lesions, alert=False)["ink"]
    assert ink.to_melanoma is not None
    assert (ink.to_melanoma.flipped, ink.to_melanoma.lesions) == (2, 6)
    assert ink.change is not None
    assert ink.change.mean == pytest.approx(2 / 6 * (np.log(0.8 / 0.2) - np.log(0.01 / 0.99)), rel=1e-5)
    assert ink.auc is None, "one lesion that is no melanoma"
