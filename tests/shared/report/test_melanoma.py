"""The section on melanoma, of results that the run's own code made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dermafed.shared.report.plots import decision_curves
from dermafed.simulation.runs.melanoma_results import ArmPredictions
from tests.shared.report import run
from tests.shared.report.test_html import Page, render
from tests.simulation.runs.test_melanoma_results import LESIONS, TEST, by_folder

VALIDATION = by_folder([0.5, 0.875, 0.25], [0.75, 0.25])


def shown(path: Path, **melanoma: Any) -> Page:
    return render(path, run.result() | {"melanoma": melanoma})


def test_the_section_has_ranking_alert_and_decision_curve(tmp_path: Path) -> None:
    found = LESIONS.result(ArmPredictions(TEST, VALIDATION))
    page = shown(tmp_path, as_trained={}, with_offsets={"federated": found, "pooled": found})
    assert page.open == []
    assert page.sections.index("melanoma") == page.sections.index("comparison") + 1
    assert "with each clinic's offsets" in page.text
    assert "0.500, which finds 95 % of the 3 melanomas in validation" in page.text
    assert "Cannot be promised here: 3 melanomas, at least 29 are needed." in page.text
    assert "a/b" in page.text
    assert len(page.all("svg")) == 1
    assert any("Decision curves" in (each.get("aria-label") or "") for each in page.all("figure"))


def test_without_validation_there_is_a_ranking_alone(tmp_path: Path) -> None:
    found = LESIONS.result(ArmPredictions(TEST))
    page = shown(tmp_path, as_trained={"federated": found}, with_offsets={})
    assert "as the models give them" in page.text
    assert "AUC within clinics" in page.text
    assert "alert" not in page.text


@pytest.mark.parametrize("melanoma", [{}, {"as_trained": {"federated": None}, "with_offsets": {}}])
def test_without_melanomas_there_is_no_section(tmp_path: Path, melanoma: dict[str, Any]) -> None:
    assert "melanoma" not in shown(tmp_path, **melanoma).sections


def test_one_lines_colour_is_each_arms() -> None:
    points = [
        {"threshold_probability": at / 10, "model": 0.1 - at / 50, "all": 0.1 - at / 5} for at in (1, 2)
    ]
    drawing = str(decision_curves({"local": points, "federated": points}))
    assert "var(--local)" in drawing
    assert "var(--federated)" in drawing
    assert "var(--pooled)" not in drawing
    assert drawing == str(decision_curves({"local": points, "federated": points}))
