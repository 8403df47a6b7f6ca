from __future__ import annotations

from typing import Any

from dermafed.shared.report.html import comparison
from dermafed.simulation.runs.results import summary_rows


def test_tuned_models_are_compared_at_home_only() -> None:
    """Each guessing another class, they would look good on all clinics' images together."""
    one: dict[str, Any] = {"clinics": {"graz": {"images": 3}}, "mean_over_clinics": {}}
    result = {"clinics": [{"name": "graz"}], "federated": one, "tuned": one, "local": None, "pooled": None}
    everywhere, graz, mean = ([arm for arm, _ in group["rows"]] for group in comparison(result))
    assert (everywhere, graz, mean) == (["federated"], ["federated", "tuned"], ["federated", "tuned"])
    rows = [(tests, model) for tests, model, _ in summary_rows(result)]
    assert rows == [("graz", "federated"), ("graz", "tuned"), ("all clinics", "federated")]
