from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.cost import analyse, costs
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun


def run(folder: Path, row: str, seed: int, images: list[int], seconds: list[float], value: float) -> StudyRun:
    """A finished run of 250,000 weights (1 MB), a clinic for each number of training images."""
    out = folder / row / str(seed)
    federated = out / "arms" / "federated"
    federated.mkdir(parents=True)
    history = tuple(
        HistoryRow(n, 1.0, 1.0, 0.5, 0.5, 0.7, len(images), "", total, total / 10)
        for n, total in enumerate(seconds, start=1)
    )
    save_state(federated, RunState(len(seconds), np.zeros(250_000, np.float32), {}, history, {}))
    write_history(federated, history)
    content = {
        "clinics": [{"name": str(n), "splits": {"train": count}} for n, count in enumerate(images)],
        "federated": {"balanced_accuracy": value},
    }
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(seed=seed), out)


def study(folder: Path) -> list[StudyRun]:
    return [
        run(folder, "four", 0, [10, 20, 30, 90], [9, 5, 6], 0.5),
        run(folder, "two", 0, [50, 100], [3, 1, 2], 0.6),
        run(folder, "two", 1, [60, 90], [4, 4, 5], 0.8),
    ]


def test_worked_example_of_costs(tmp_path: Path) -> None:
    two, four = costs(study(tmp_path))
    assert (two["row"], two["clinics"], two["images"]) == ("two", 2, 75)
    assert (two["megabytes"], four["megabytes"]) == (6, 12)  # three times a clinic
    assert (two["seconds"], two["overhead"]) == (pytest.approx(3), pytest.approx(0.3))
    assert (four["seconds"], four["images"]) == (6, 25)
    assert two["mean"] == pytest.approx(0.7)
    assert four["half_width"] is None


def test_the_plot_and_the_table(tmp_path: Path) -> None:
    analyse(study(tmp_path), tmp_path)
    table = (tmp_path / "cost.md").read_text("utf-8").splitlines()
    assert table[-1] == "| 4 | 25 | 12 | 6.0 | 0.60 | 0.500 |"
    plot = (tmp_path / "cost.svg").read_text("utf-8")
    ElementTree.fromstring(plot)
    assert "MB a round" in plot
