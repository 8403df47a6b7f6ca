from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dcurves import dca

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.metrics.decision.net_benefit import decision_curve, net_benefit
from tests.shared.metrics.decision.sample_lesions import MELANOMAS, OTHERS, counts_of, drawn

PROBABILITIES = [0.05, 0.1, 0.2, 0.5]


def test_a_worked_example() -> None:
    assert net_benefit(0.9, 0.6, 0.1, 0.1) == pytest.approx(0.05)
    assert net_benefit(1, 0, 0.1, 0.1) == pytest.approx(0)


@pytest.mark.parametrize("prevalence", [None, 0.03])
def test_the_curve_agrees_with_dcurves(prevalence: float | None) -> None:
    rng = np.random.default_rng(3)
    scores = [MELANOMAS.rvs(40, random_state=rng), OTHERS.rvs(200, random_state=rng)]
    table = pd.DataFrame({"melanoma": np.repeat([1, 0], [40, 200]), "model": np.concatenate(scores)})
    expected = dca(
        data=table, outcome="melanoma", modelnames=["model"], thresholds=PROBABILITIES, prevalence=prevalence
    ).pivot_table(index="threshold", columns="model", values="net_benefit")
    for point in decision_curve(counts_of(*scores), PROBABILITIES, prevalence):
        row = expected.loc[point.threshold_probability]
        assert (point.model, point.all) == pytest.approx((row["model"], row["all"]))
        assert row["none"] == 0


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(DatasetError, match="no melanoma"):
        decision_curve(counts_of([], [0.5]), [0.1])
    with pytest.raises(DatasetError, match="other than melanoma"):
        decision_curve(counts_of([0.5], []), [0.1])
    for prevalence in (0.0, 1.0, float("nan")):
        with pytest.raises(SettingsError, match="The prevalence is"):
            decision_curve(drawn(5, 5), [0.1], prevalence)
    with pytest.raises(SettingsError, match="threshold probability is 1"):
        decision_curve(drawn(5, 5), [1.0])
