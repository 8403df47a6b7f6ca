from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.budget import analyse, budgets
from dermafed.simulation.studies.study_runs import StudyRun
from tests.simulation.studies.test_cost import run


def study(folder: Path) -> list[StudyRun]:
    """Runs of two clinics and 1 MB of weights; their validation's balanced accuracy is 0.5."""
    plans = {"many": (0.25, [30.0] * 8), "few": (1.0, [60.0] * 2)}
    return [
        replace(
            run(folder, row, seed, [10, 20], seconds, 0.9),
            settings=RunSettings(seed=seed, epochs=epochs, learning_rate=0.001),
        )
        for row, (epochs, seconds) in plans.items()
        for seed in (0, 1)
    ]


def test_worked_example_of_budgets(tmp_path: Path) -> None:
    few, many = budgets(study(tmp_path))
    assert (few["row"], few["passes"], few["rounds"], few["minutes"]) == ("few", 2, 2, 2)
    assert (many["row"], many["passes"], many["rounds"], many["minutes"]) == ("many", 2, 8, 4)
    assert many["gigabytes"] == pytest.approx(8 * 2 * 3 / 1000)  # rounds, clinics, transfers
    assert (many["auc"], many["values"]) == (0.7, [0.5, 0.5]), "of the validation, not of the test"


def test_the_plot_and_the_table(tmp_path: Path) -> None:
    analyse(study(tmp_path), tmp_path)
    assert (tmp_path / "budget.md").read_text("utf-8").splitlines()[-1] == (
        "| 2 | 8 | 0.25 | 0.001 | 0.0 | 4 | 0.700 | 0.500 ± 0.000 |"
    )
    plot = (tmp_path / "budget.svg").read_text("utf-8")
    ElementTree.fromstring(plot)
    assert {"0.25, 0.001", "1, 0.001"} <= set(re.findall(r">([^<]+)<", plot))
    assert {">0.012<", ">0.048<"} <= set(re.findall(r">0\.0\d+<", plot))
