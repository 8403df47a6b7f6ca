"""Comparison of groups in a study: the first row's groups, and the changes of the other rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.arms import PREDICTIONS_FILE
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.fairness import analyse
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun

CLASSES = ("melanoma", "nevus")
EACH = 12  # images of a sex and class
CELLS = [(sex, label) for sex in ("female", "male") for label in CLASSES]


def finished(folder: Path, row: str, seed: int, found: tuple[int, int, int, int]) -> StudyRun:
    """A run that finds so many of twelve melanomas of women, nevi of women, melanomas and nevi of men."""
    out = folder / "runs" / row / str(seed)
    records, right = [], []
    for (sex, label), count in zip(CELLS, found, strict=True):
        for place in range(EACH):
            name = f"{sex}-{label}-{place}"
            records.append(LesionRecord(name, folder / f"{place % 3}.png", label, sex=sex))
            right.append((place < count) == (label == "melanoma"))
    write_clinic_split(out / "sites" / "clinics" / "east", Splits((), (), tuple(records)))
    (out / "arms" / "federated").mkdir(parents=True)
    melanoma = np.where(right, 0.8, 0.2).astype(np.float32)
    np.savez(
        out / "arms" / "federated" / PREDICTIONS_FILE, **{"0": np.stack([melanoma, 1 - melanoma], axis=1)}
    )
    content = {"classes": CLASSES, "clinics": [{"name": "east"}]}
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(data="lesions", seed=seed), out)


@pytest.fixture
def study(tmp_path: Path) -> list[StudyRun]:
    for number in range(3):
        skin = np.full((64, 64, 3), (150, 180, 210 + number), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), cv2.circle(skin, (32, 32), 12, (40, 60, 90), -1))
    as_it_is = [finished(tmp_path, "as it is", seed, (9, 12, 3, 12)) for seed in (0, 1)]
    return [*as_it_is, *(finished(tmp_path, "balanced", seed, (9, 12, 6, 12)) for seed in (0, 1))]


def test_worked_example_of_groups_gaps_and_changes(study: list[StudyRun], tmp_path: Path) -> None:
    lines = [line for line in analyse(study, tmp_path) if line["attribute"] == "sex"]
    groups = {(line["row"], line["group"]): line for line in lines if line["kind"] == "group"}
    women, men = groups["as it is", "female"], groups["as it is", "male"]
    assert (women["images"], women["classes"]) == (24, {"melanoma": 12, "nevus": 12})
    assert women["melanoma_sensitivity"]["value"] == pytest.approx(9 / 12)
    assert men["balanced_accuracy"]["value"] == pytest.approx((3 / 12 + 1) / 2)

    gaps = {(line["row"], line["figure"]): line for line in lines if line["kind"] == "gap"}
    gap = gaps["as it is", "melanoma_sensitivity"]
    assert (gap["highest"], gap["lowest"], gap["gap"]["value"]) == ("female", "male", pytest.approx(0.5))
    assert gaps["balanced", "melanoma_sensitivity"]["gap"]["value"] == pytest.approx(0.25)

    (change,) = [
        line for line in lines if line["kind"] == "change" and line["figure"] == "melanoma_sensitivity"
    ]
    assert change["row"] == "balanced"
    assert change["worst"]["value"] == pytest.approx(3 / 12)
    assert change["gap"]["value"] == pytest.approx(-3 / 12)
    assert change["worst"]["low"] <= 3 / 12 <= change["worst"]["high"]


def test_the_written_files_have_the_same_lines(study: list[StudyRun], tmp_path: Path) -> None:
    lines = analyse(study, tmp_path)
    json.dumps(lines, allow_nan=False)
    with (tmp_path / "fairness.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(line["kind"] == "group" for line in lines)
    text = (tmp_path / "fairness.md").read_text("utf-8")
    assert "female" in text
    assert "balanced" in text
    plot = (tmp_path / "fairness.svg").read_text("utf-8")
    assert ">female</text>" in plot


def test_unknown_groups_are_left_out(study: list[StudyRun], tmp_path: Path) -> None:
    assert "age" not in {line["attribute"] for line in analyse(study, tmp_path)}
