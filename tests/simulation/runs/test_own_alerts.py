from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.simulation.runs.own_alerts import ClinicScores, own_alerts
from tests.shared.metrics.decision.sample_lesions import two_classes


def lesions(melanomas: list[float], others: list[float]) -> LesionScores:
    return two_classes(np.array(melanomas), np.array(others))


# Twelve melanomas choose for themselves: 95 % of them are all, so 0.3.
LARGE = ClinicScores(
    lesions([0.3] + [0.8] * 11, [0.1] * 6),
    lesions([0.3, 0.2], [0.1, 0.4]),
    lesions([0.6005] * 12, [0.2] * 6),
    lesions([0.9, 0.9], [0.1, 0.1]),
)
# Two do not: all clinics' counts without the prior begin at 0.6 (these two are hidden, and found).
SMALL = ClinicScores(
    lesions([0.01, 0.02], [0.001] * 7),
    lesions([0.02], [0.01, 0.02, 0.001]),
    lesions([0.7, 0.9], [0.1] * 7),
    lesions([0.65], [0.5, 0.61, 0.3]),
)


def test_a_clinic_with_few_melanomas_is_alerted_by_all_clinics_threshold() -> None:
    found = own_alerts({"large": LARGE, "small": SMALL}, one_model=True)
    assert found is not None
    assert found["rules"] == {
        "large": {"validation_melanomas": 12, "of_all_clinics": False},
        "small": {"validation_melanomas": 2, "of_all_clinics": True},
    }
    large, small = found["clinics"]["large"], found["clinics"]["small"]
    assert (large["threshold"], small["threshold"]) == (0.3, 0.6)
    assert large["alerts"] == {"melanomas": 2, "found": 1, "others": 2, "alarms": 1, "unit": "lesions"}
    assert small["alerts"] == {"melanomas": 1, "found": 1, "others": 3, "alarms": 1, "unit": "lesions"}
    assert found["all"]["threshold"] is None
    assert found["all"]["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert found["all"]["specificity"]["value"] == pytest.approx(3 / 5)


def test_clinics_with_models_of_their_own_choose_by_their_own_melanomas() -> None:
    found = own_alerts({"large": LARGE, "small": SMALL}, one_model=False)
    assert found is not None
    assert found["rules"]["small"]["of_all_clinics"] is False
    assert found["clinics"]["small"]["threshold"] == 0.01
    assert found["clinics"]["small"]["alerts"]["alarms"] == 2


def test_a_clinic_that_can_have_no_alert_is_left_out() -> None:
    benign = ClinicScores(*[lesions([], [0.1] * 6)] * 4)
    found = own_alerts({"large": LARGE, "benign": benign}, one_model=False)
    assert found is not None
    assert list(found["clinics"]) == ["large"]
    assert own_alerts({"benign": benign}, one_model=True) is None
