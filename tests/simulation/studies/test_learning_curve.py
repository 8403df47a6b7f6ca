from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.learning_curve import analyse, curves
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun


def run(
    folder: Path,
    row: str,
    seed: int,
    trained_on: dict[str, int],
    values: dict[str, float],
    alone: dict[str, float] | None = None,
    steps: int | None = None,
) -> StudyRun:
    """A finished run whose models reach these balanced accuracies on the clinics' own tests."""
    out = folder / row / str(seed)
    out.mkdir(parents=True)
    content = {
        "clinics": [{"name": name, "splits": {"train": images}} for name, images in trained_on.items()],
        "federated": {"clinics": {name: {"balanced_accuracy": value} for name, value in values.items()}},
        "local": alone and {"clinics": {name: {"balanced_accuracy": v} for name, v in alone.items()}},
    }
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(seed=seed, steps=steps), out)


def study(folder: Path) -> list[StudyRun]:
    many = {"east": 50, "west": 900}
    return [
        run(folder, "few", 0, {"east": 25, "west": 900}, {"east": 0.6, "west": 0.8}),
        run(folder, "few", 1, {"east": 25, "west": 900}, {"east": 0.7, "west": 0.8}),
        run(folder, "few, alone", 0, {"east": 25}, {"east": 0.4}),
        run(folder, "few, alone", 1, {"east": 23}, {"east": 0.5}),
        run(folder, "long", 0, {"east": 25}, {"east": 0.45}, steps=8),
        run(folder, "all", 0, many, {"east": 0.72, "west": 0.8}, {"east": 0.66, "west": 0.7}),
    ]


def test_worked_example_of_the_points(tmp_path: Path) -> None:
    lines = {(line["trained"], line["row"]): line for line in curves(study(tmp_path))}
    assert {line["clinic"] for line in lines.values()} == {"east"}, "the west has as many images in every row"
    assert set(lines) == {
        ("joined", "few"),
        ("joined", "all"),
        ("alone", "few, alone"),
        ("alone", "all"),
        ("alone, 8 steps a round", "long"),
    }
    few = lines["joined", "few"]
    assert (few["images"], few["values"], few["mean"]) == (25, [0.6, 0.7], pytest.approx(0.65))
    assert few["half_width"] == pytest.approx(12.7062 * 0.1 / 2, rel=1e-4)  # t(0.975, 1) s / sqrt(2)
    assert lines["alone", "few, alone"]["images"] == 24
    assert (lines["alone", "all"]["mean"], lines["alone", "all"]["half_width"]) == (0.66, None)


def test_the_plot_and_the_table(tmp_path: Path) -> None:
    analyse(study(tmp_path), tmp_path)
    table = (tmp_path / "learning-curve.md").read_text("utf-8")
    assert "| east | joined | 25 | 0.650 ± 0.635 |" in table
    assert table.index("| 25 |") < table.index("| 50 |")
    plot = (tmp_path / "learning-curve.svg").read_text("utf-8")
    ElementTree.fromstring(plot)
    for text in ("joined", "alone, 8 steps a round", "training images of the clinic", ">25<", ">50<"):
        assert text in plot
    again = tmp_path / "again"
    again.mkdir()
    analyse(study(again), again)
    assert (again / "learning-curve.svg").read_text("utf-8") == plot


def test_runs_of_one_size_have_no_curve(tmp_path: Path) -> None:
    runs = [run(tmp_path, "a", seed, {"east": 25, "west": 9}, {"east": 0.6, "west": 0.5}) for seed in (0, 1)]
    assert analyse(runs, tmp_path) == []
    assert not (tmp_path / "learning-curve.svg").exists()
