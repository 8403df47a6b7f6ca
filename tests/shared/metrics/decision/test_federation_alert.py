from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from dermafed.shared.metrics.decision.federation_alert import federation_alert
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from tests.shared.metrics.decision.sample_lesions import two_classes


def found(melanomas: np.ndarray, others: np.ndarray) -> dict:  # type: ignore[type-arg]
    scores = ScoreHistogram.of(two_classes(melanomas, others))
    return json.loads(json.dumps(federation_alert(scores), allow_nan=False))  # type: ignore[no-any-return]


def test_enough_melanomas_prove_a_promise() -> None:
    # Of 60 the target allows three misses, the promise one: P(Binomial(60, 0.1) <= 2) = 0.053.
    alert = found(np.arange(60) / 100 + 0.2005, np.full(40, 0.3))
    assert alert["promise"]["possible"] is True
    assert (
        "At most 10% of melanomas are missed, with 95% confidence (60 validation"
        in alert["promise"]["sentence"]
    )
    assert alert["point"]["threshold"] == pytest.approx(0.21)
    assert alert["point"]["alerts"] == {
        "melanomas": 60,
        "found": 59,
        "others": 40,
        "alarms": 40,
        "unit": "lesions",
    }
    exact = binomtest(59, 60).proportion_ci(0.95, "exact")
    assert alert["point"]["sensitivity"]["interval"]["low"] == pytest.approx(exact.low)
    assert alert["point"]["prevalence"] == 0.6


def test_too_few_prove_none() -> None:
    alert = found(np.full(20, 0.7), np.full(40, 0.3))
    assert alert["promise"] == {
        "sentence": "Cannot be promised here: 20 melanomas, at least 29 are needed",
        "possible": False,
    }
    assert alert["point"]["specificity"]["value"] == 1


@pytest.mark.parametrize(("melanomas", "others"), [(0, 9), (9, 0)])
def test_without_melanomas_or_others_there_is_no_point(melanomas: int, others: int) -> None:
    alert = found(np.full(melanomas, 0.7), np.full(others, 0.3))
    assert alert["point"] is None
    assert alert["promise"]["sentence"].startswith(f"Cannot be promised here: {melanomas} melanomas")
