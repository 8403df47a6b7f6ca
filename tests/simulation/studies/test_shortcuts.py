"""The figures of audits over a study's seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dermafed.shared.metrics.intervals import clopper_pearson
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.shortcuts import analyse, shortcut_lines
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun


def run(folder: Path, row: str, seed: int, flipped: int | None) -> StudyRun:
    """Of 100 lesions answered benign, so many flip with ink; ``None``: no clinic answered."""
    out = folder / row / str(seed)
    out.mkdir(parents=True)
    exact = clopper_pearson(flipped or 0, 100)
    assert exact is not None
    flips = {"flipped": flipped, "lesions": 100, "interval": {"low": exact.low, "high": exact.high}}
    change = {"mean": 0.5, "interval": None, "quantiles": {}}
    effects = {"ink": {"to_melanoma": flips, "to_benign": None, "change": change, "auc": None}}
    together = None if flipped is None else {"lesions": 100, "auc": 0.8, "effects": effects}
    content: dict[str, Any] = {
        "audit": {"all": together},
        "federated": {"balanced_accuracy": 0.7 + seed / 10},
    }
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(seed=seed), out)


def test_worked_example_over_seeds(tmp_path: Path) -> None:
    runs = [run(tmp_path, "a", 0, 2), run(tmp_path, "a", 1, 6), run(tmp_path, "b", 0, None)]
    lines = {(line["artefact"], line["figure"]): line for line in shortcut_lines(runs)}
    assert {line["row"] for line in lines.values()} == {"a"}
    ink = lines["ink", "to_melanoma"]
    assert ink["values"] == [0.02, 0.06]
    assert ink["mean"] == pytest.approx(0.04)
    least, most = clopper_pearson(2, 100), clopper_pearson(6, 100)
    assert least is not None
    assert most is not None
    assert (ink["low"], ink["high"]) == (least.low, most.high)
    assert "low" not in lines["ink", "change"]
    assert lines["none", "balanced_accuracy"]["mean"] == pytest.approx(0.75)
    assert ("ink", "to_benign") not in lines
    assert analyse(runs, tmp_path) == shortcut_lines(runs)
    table = (tmp_path / "shortcuts.md").read_text("utf-8").splitlines()
    assert "| a | Ink marks | 0.040 (0.002 to 0.126) |  | 0.500 ± 0.000 |  |" in table
    assert table[-1].startswith("| a | 0.800 ± 0.000 | 0.750 ± ")
