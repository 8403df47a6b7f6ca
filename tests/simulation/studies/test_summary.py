from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun
from dermafed.simulation.studies.summary import (
    as_csv,
    challenge_auc,
    markdown,
    over_seeds,
    published_lines,
    summarise,
)


def finished(folder: Path, seed: int, value: float) -> StudyRun:
    """A run whose federated model has this balanced accuracy on all images, and a tenth less over clinics."""
    out = folder / str(seed)
    out.mkdir()
    mean = {"balanced_accuracy": value - 0.1, "auc": None}
    federated = {"test": {"balanced_accuracy": value, "auc": 0.75}, "mean_over_clinics": mean}
    content = {"federated": federated, "pooled": None, "local": None}
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun("plain", RunSettings(seed=seed), out)


def test_the_interval_over_seeds_is_students() -> None:
    over = over_seeds((0.60, 0.62, 0.64))
    assert over["mean"] == pytest.approx(0.62)
    assert over["half_width"] == pytest.approx(4.302653 * 0.02 / 3**0.5)


def test_metrics_are_collected_over_the_seeds(tmp_path: Path) -> None:
    lines = summarise([finished(tmp_path, seed, value) for seed, value in enumerate((0.60, 0.62, 0.64))])
    found = {(line["tests"], line["figure"]): line for line in lines}
    assert found["all", "balanced_accuracy"]["values"] == [0.60, 0.62, 0.64]
    assert found["mean over clinics", "balanced_accuracy"]["mean"] == pytest.approx(0.52)
    assert found["all", "auc"]["half_width"] == 0
    assert ("mean over clinics", "auc") not in found, "a metric that no seed has is left out"
    assert "| plain | federated | 0.620 ± 0.050 | 0.750 ± 0.000 |" in markdown(lines)
    assert as_csv(lines).splitlines()[1].startswith("plain,federated,all,balanced_accuracy,0.600000 0.62")


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    lines = summarise([finished(tmp_path, 0, 0.6)])
    assert {line["half_width"] for line in lines} == {None}
    assert "| plain | federated | 0.600 | 0.750 |" in markdown(lines)


def test_the_clinics_own_and_tuned_models_have_their_own_test_only(tmp_path: Path) -> None:
    run = finished(tmp_path, 0, 0.6)
    content = run.result()
    content["tuned"] = content["federated"]
    differs_by_clinic = {"east": {"auc": 0.7, "recall": 0.4}, "west": {"auc": 0.9, "recall": None}}
    content["local"] = {"auc": 0.3, "clinics": differs_by_clinic, "mean_over_clinics": {"auc": 0.5}}
    (run.folder / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    found = {(line["arm"], line["tests"], line["figure"]): line["mean"] for line in summarise([run])}
    own = {key[1:]: value for key, value in found.items() if key[0] == "own"}
    assert own == {("mean over clinics", "auc"): pytest.approx(0.8)}
    assert {tests for arm, tests, _ in found if arm == "tuned"} == {"mean over clinics"}
    assert found["local", "mean over clinics", "auc"] == 0.5


def test_models_with_each_clinics_own_norm_have_their_own_test_only(tmp_path: Path) -> None:
    run = finished(tmp_path, 0, 0.6)
    own = replace(run, settings=RunSettings(batch_norm="local"))
    assert {line["tests"] for line in summarise([run])} == {"all", "mean over clinics"}
    assert {line["tests"] for line in summarise([own])} == {"mean over clinics"}


def test_the_challenges_metric_is_the_mean_of_two_classes() -> None:
    of = {"melanoma": {"auc": 0.8}, "seborrheic_keratosis": {"auc": 0.9}, "nevus": {"auc": 0.1}}
    assert challenge_auc({"per_class": of}) == pytest.approx(0.85)
    assert challenge_auc({"per_class": of | {"melanoma": {"auc": None}}}) is None
    assert challenge_auc({"auc": 0.9}) is None


def test_published_metrics_have_a_line_of_their_own(tmp_path: Path) -> None:
    lines = summarise([finished(tmp_path, 0, 0.6)]) + published_lines({"plain": {"accuracy": 0.992}})
    table = markdown(lines).splitlines()
    assert "| plain | federated | 0.600 | 0.750 |  |" in table
    assert "| plain | as published |  |  | 0.992 |" in table
