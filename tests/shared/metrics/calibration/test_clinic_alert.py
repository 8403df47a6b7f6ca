from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermafed.shared.metrics.calibration.calibration import Calibration, fit_calibration
from dermafed.shared.metrics.calibration.clinic_alert import fit_clinic_alert
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from tests.shared.metrics.calibration.sample_calibration import CLASSES
from tests.shared.metrics.calibration.test_calibration_offsets import FEDERATION, SHA, outputs
from tests.shared.metrics.decision.sample_lesions import two_classes

ALL_CLINICS = ScoreHistogram.of(two_classes(np.linspace(0.3005, 0.9, 40), np.full(90, 0.4)))
WANTED = DecisionSettings(sensitivity=0.9)


def with_melanomas(count: int) -> NetworkOutputs:
    """Validation images of which so many are melanomas, and sixty others."""
    drawn = outputs(900, 3)
    melanomas = np.flatnonzero(drawn.labels == 0)[:count]
    images = np.concatenate([melanomas, np.flatnonzero(drawn.labels != 0)[:60]])
    return NetworkOutputs(drawn.logits[images], drawn.features[images], drawn.labels[images])


def calibrated(validation: NetworkOutputs, scores: ScoreHistogram | None = ALL_CLINICS) -> Calibration:
    calibration = fit_calibration(SHA, CLASSES, outputs(100, 1), validation, FEDERATION)
    return replace(calibration, scores=scores)


def lesions(validation: NetworkOutputs) -> list[str]:
    return [str(place) for place in range(len(validation.labels))]


def test_ten_melanomas_choose_the_clinics_own_threshold() -> None:
    validation = with_melanomas(10)
    calibration = calibrated(validation)
    rule = fit_clinic_alert(calibration, validation, lesions(validation), WANTED)
    assert rule is not None
    assert (rule.own_melanomas, rule.note) == (None, "")
    scores = sorted(calibration.probabilities(logits)[0] for logits in validation.logits[:10])
    # 90 % of 10 are nine: the second lowest.
    assert rule.threshold == pytest.approx(scores[1], abs=2e-6)
    logits = validation.logits[0]
    assert (calibration.alert_probabilities(logits, rule) == calibration.probabilities(logits)).all()


@pytest.mark.parametrize("melanomas", [0, 1, 9])
def test_fewer_take_that_of_all_clinics_and_the_score_without_the_prior(melanomas: int) -> None:
    validation = with_melanomas(melanomas)
    calibration = calibrated(validation)
    rule = fit_clinic_alert(calibration, validation, lesions(validation), WANTED)
    assert rule is not None
    assert rule.own_melanomas == melanomas
    assert (rule.alerts.melanomas, rule.alerts.others) == (40, 90)
    assert rule.alerts.found >= 0.9 * 40
    logits = validation.logits[0]
    without = calibration.probabilities_without_prior(logits)
    assert without is not None
    assert (calibration.alert_probabilities(logits, rule) == without).all()
    assert (without != calibration.probabilities(logits)).any()


def test_without_the_scores_of_all_clinics_few_melanomas_choose() -> None:
    validation = with_melanomas(3)
    rule = fit_clinic_alert(calibrated(validation, None), validation, lesions(validation), WANTED)
    assert rule is not None
    assert (rule.own_melanomas, rule.alerts.melanomas) == (None, 3)
    none = with_melanomas(0)
    assert fit_clinic_alert(calibrated(none, None), none, lesions(none), WANTED) is None


def test_a_model_without_melanoma_has_no_alert() -> None:
    validation = with_melanomas(10)
    other = replace(calibrated(validation), classes=("lentigo", "nevus", "keratosis"))
    assert fit_clinic_alert(other, validation, lesions(validation), WANTED) is None


def test_images_of_one_lesion_count_once() -> None:
    validation = with_melanomas(12)
    rule = fit_clinic_alert(
        calibrated(validation), validation, ["one"] * 12 + lesions(validation)[12:], WANTED
    )
    assert rule is not None
    assert rule.own_melanomas == 1
