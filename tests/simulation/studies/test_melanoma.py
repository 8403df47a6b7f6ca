"""Every model's figures of melanoma over seeds, their differences, and what is written of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binom

from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.simulation.runs.arms import (
    NO_PRIOR_FILE,
    OFFSETS_FILE,
    OFFSETS_VALIDATION_FILE,
    PREDICTIONS_FILE,
    VALIDATION_FILE,
)
from dermafed.simulation.runs.run_settings import SETTINGS_FILE
from dermafed.simulation.studies.command import study
from dermafed.simulation.studies.melanoma import analyse, melanoma_lines
from dermafed.simulation.studies.melanoma_plots import GRID, model_curves
from dermafed.simulation.studies.publish import publish
from dermafed.simulation.studies.study_runs import StudyRun
from tests.simulation.studies.melanoma_runs import Scores, melanoma_run

TESTS = {"east": "m" * 10 + "n" * 10, "west": "m" * 5 + "n" * 15}
VALIDATION = {"east": "mn", "west": "mn"}
CHOSEN = [[0.5, 0.1], [0.7, 0.6]]
"""On validation images: the threshold is 0.5."""


def finding(east: int, west: int = 5) -> list[list[float]]:
    """Scores that find this many of each clinic's melanomas, and alert to nothing else."""
    return [
        [0.8] * east + [0.2] * (10 - east) + [0.1] * 10,
        [0.8] * west + [0.2] * (5 - west) + [0.1] * 15,
    ]


def with_offsets(test: Scores, validation: Scores = CHOSEN) -> dict[str, Scores]:
    useless = [[0.5] * len(own) for own in test]
    return {PREDICTIONS_FILE: useless, OFFSETS_FILE: test, OFFSETS_VALIDATION_FILE: validation}


def run(
    folder: Path, arms: Mapping[str, Mapping[str, Scores]], row: str = "a", seed: int = 0, **other: Any
) -> StudyRun:
    return melanoma_run(folder, row, seed, TESTS, arms, validation=VALIDATION, **other)


def of(lines: list[dict[str, Any]], arm: str, tests: str, figure: str) -> dict[str, Any]:
    (line,) = [line for line in lines if (line["arm"], line["tests"], line["figure"]) == (arm, tests, figure)]
    return line


def test_a_figure_is_the_mean_over_the_seeds_with_offsets(tmp_path: Path) -> None:
    runs = [run(tmp_path, {"federated": with_offsets(finding(found))}, seed=found) for found in (6, 8)]
    lines = melanoma_lines(runs, resamples=200)
    east = of(lines, "federated", "east", "sensitivity of the alert")
    assert east["values"] == pytest.approx([0.6, 0.8])
    assert (east["mean"], east["seeds"], east["fewest"]) == (pytest.approx(0.7), 2, 10)
    assert of(lines, "federated", "all", "sensitivity of the alert")["mean"] == pytest.approx(12 / 15)
    assert of(lines, "federated", "all", "number needed to biopsy")["mean"] == 1
    # Melanomas that are not found still rank above the others.
    assert of(lines, "federated", "within clinics", "auc")["mean"] == 1
    assert {line["predictions"] for line in lines} == {"with offsets"}
    of_one_model = [line for line in lines if " - " not in line["arm"]]
    assert {line["p"] for line in of_one_model} == {None}
    assert not [line for line in lines if line["figure"] == "core minutes"]


def test_the_most_probable_class_is_also_given_as_if_classes_were_equally_frequent(tmp_path: Path) -> None:
    """With the prior no melanoma is the most probable class; without it 8 of 10 and 5 of 5 are."""
    rare = [[score / 2 for score in own] for own in finding(8)]
    files = with_offsets(rare) | {NO_PRIOR_FILE: finding(8)}
    lines = melanoma_lines([run(tmp_path, {"federated": files})], resamples=50)
    sensitivity = "sensitivity of melanoma"
    assert of(lines, "federated", "all", sensitivity)["mean"] == 0
    assert of(lines, "federated", "all", f"{sensitivity}, equal classes")["mean"] == pytest.approx(13 / 15)
    equal = of(lines, "federated", "all", "balanced_accuracy, equal classes")
    assert equal["mean"] == pytest.approx((13 / 15 + 1) / 2)


def test_the_interval_is_of_the_found_melanomas_drawn_again(tmp_path: Path) -> None:
    """Six of ten are found: Binomial(10, 0.6) of the drawn ones are."""
    lines = melanoma_lines([run(tmp_path, {"federated": with_offsets(finding(6))})], resamples=4000)
    line = of(lines, "federated", "east", "sensitivity of the alert")
    expected = tuple(binom.ppf(share, 10, 0.6) / 10 for share in (0.025, 0.975))
    assert (line["low"], line["high"]) == pytest.approx(expected)
    spared = of(lines, "federated", "east", "specificity of the alert")
    assert (spared["mean"], spared["low"]) == (1, None), "a bootstrap of equal values gives no interval"


def test_seeds_that_differ_widen_it(tmp_path: Path) -> None:
    runs = [run(tmp_path, {"federated": with_offsets(finding(east))}, seed=east) for east in (0, 10)]
    line = of(melanoma_lines(runs, resamples=400), "federated", "east", "sensitivity of melanoma")
    assert (line["mean"], line["low"], line["high"]) == pytest.approx((0.5, 0, 1))


def test_models_of_a_row_are_compared_on_the_same_lesions(tmp_path: Path) -> None:
    arms = {
        "federated": with_offsets(finding(9)),
        "tuned": with_offsets(finding(10)),
        "pooled": with_offsets(finding(4)),
        # Each clinic's own model finds nothing elsewhere.
        "local-east": with_offsets(finding(5, 0)),
        "local-west": with_offsets(finding(0, 5)),
    }
    lines = melanoma_lines([run(tmp_path, arms)], resamples=4000)
    assert of(lines, "own", "all", "sensitivity of the alert")["mean"] == pytest.approx(10 / 15)
    pairs = {line["arm"] for line in lines if " - " in line["arm"]}
    assert pairs == {
        "federated - pooled",
        "federated - own",
        "tuned - own",
        "tuned - federated",
        "federated and tuned - federated",
    }
    line = of(lines, "federated - pooled", "east", "sensitivity of the alert")
    # Five of ten are found by one model alone: Binomial(10, 0.5) of them are drawn.
    assert (line["mean"], line["low"], line["high"]) == pytest.approx((0.5, 0.2, 0.8))
    assert line["p"] == pytest.approx(2 / 2**10, abs=0.0015)
    assert line["p_holm"] == pytest.approx(5 * line["p"], abs=0.005)
    same = of(lines, "federated - own", "west", "sensitivity of the alert")
    assert (same["mean"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    together = of(lines, "tuned - own", "all", "sensitivity of melanoma")
    assert together["mean"] == pytest.approx(15 / 15 - 10 / 15)
    assert json.loads(json.dumps(lines, allow_nan=False)) == lines


def test_rows_are_compared_with_the_first_on_the_same_test_images(tmp_path: Path) -> None:
    both = {"federated": with_offsets(finding(9)), "pooled": with_offsets(finding(4))}
    other = {"federated": with_offsets(finding(7))}
    moved = melanoma_run(
        tmp_path, "c", 0, TESTS | {"east": "n" * 10 + "m" * 10}, other, validation=VALIDATION
    )
    lines = melanoma_lines([run(tmp_path, both, "a"), run(tmp_path, other, "b"), moved], resamples=20)
    assert {(line["row"], line["arm"]) for line in lines} == {
        ("a", "federated"),
        ("a", "pooled"),
        ("a", "federated - pooled"),
        ("b", "federated"),
        ("b", "federated - federated of a"),
        ("c", "federated"),
    }
    line = of(lines, "federated - federated of a", "east", "sensitivity of the alert")
    assert line["mean"] == pytest.approx(0.7 - 0.9)


def test_runs_without_offsets_count_as_trained_and_are_compared_among_themselves(tmp_path: Path) -> None:
    old = {PREDICTIONS_FILE: finding(9), VALIDATION_FILE: CHOSEN}
    arms = {"federated": old, "pooled": with_offsets(finding(4)), "tuned": {PREDICTIONS_FILE: finding(10)}}
    lines = melanoma_lines([run(tmp_path, arms)], resamples=20)
    kinds = {line["arm"]: line["predictions"] for line in lines}
    assert kinds == {
        "federated": "as trained",
        "pooled": "with offsets",
        "tuned": "as trained",
        "tuned - federated": "as trained",
        "federated and tuned": "as trained",
        "federated and tuned - federated": "as trained",
    }
    assert of(lines, "federated", "east", "sensitivity of the alert")["mean"] == pytest.approx(0.9)
    tuned = {line["figure"] for line in lines if line["arm"] == "tuned"}
    assert "auc" in tuned
    assert "sensitivity of the alert" not in tuned, "nothing to choose a threshold on"


def test_few_lesions_and_undefined_resamples_have_no_interval(tmp_path: Path) -> None:
    arms = {"federated": with_offsets(finding(1, 2)), "pooled": with_offsets(finding(5, 4))}
    tests = TESTS | {"west": "m" * 4 + "n" * 16}
    scores = {
        arm: {name: [own[0], own[1][:20]] for name, own in files.items()} for arm, files in arms.items()
    }
    for files in scores.values():
        files[OFFSETS_VALIDATION_FILE] = CHOSEN
    (made,) = [melanoma_run(tmp_path, "a", 0, tests, scores, validation=VALIDATION)]
    lines = melanoma_lines([made], resamples=200)
    for arm in ("federated", "federated - pooled"):
        few = of(lines, arm, "west", "sensitivity of the alert")
        assert (few["low"], few["p"], few["fewest"]) == (None, None, 4)
        # A resample may have no melanoma that is found: a number without end.
        assert of(lines, arm, "east", "number needed to biopsy")["low"] is None
        assert of(lines, arm, "east", "sensitivity of the alert")["low"] is not None


def test_minutes_are_those_of_all_rounds(tmp_path: Path) -> None:
    arms = {name: with_offsets(finding(9)) for name in ("federated", "tuned", "local-east", "local-west")}
    made = run(tmp_path, arms)
    for name, seconds in {"federated": (60, 120), "local-east": (30,), "local-west": (60,)}.items():
        rows = [
            HistoryRow(n, 1.0, 1.0, 0.5, 0.5, 0.7, 2, "", own, 0.1) for n, own in enumerate(seconds, start=1)
        ]
        write_history(made.folder / "arms" / name, rows)
    lines = melanoma_lines([made], resamples=5)
    minutes = {line["arm"]: line["mean"] for line in lines if line["figure"] == "core minutes"}
    assert minutes == {"federated": 3, "own": 1.5}


def test_without_a_class_of_melanoma_nothing_is_written(tmp_path: Path) -> None:
    made = run(tmp_path / "runs", {"federated": with_offsets(finding(9))}, classes=("mole", "nevus"))
    assert analyse([made], tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_tables_and_plots_are_written(tmp_path: Path) -> None:
    arms = {"federated": with_offsets(finding(9)), "pooled": {PREDICTIONS_FILE: finding(4)}}
    runs = [run(tmp_path / "runs", arms, seed=seed) for seed in range(2)]
    lines = analyse(runs, tmp_path)
    with (tmp_path / "melanoma.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean"]) for row in rows] == [line["mean"] for line in lines]
    text = (tmp_path / "melanoma.md").read_text("utf-8")
    assert "As trained, without offsets: a, pooled." in text
    assert "## Ranking within clinics" in text
    assert "| Row | Trained | Sensitivity of the alert | Specificity of the alert |" in text
    assert "## The clinic west" in text
    for name in ("melanoma.svg", "melanoma-curves.svg"):
        ElementTree.fromstring((tmp_path / name).read_text("utf-8"))
    curves = (tmp_path / "melanoma-curves.svg").read_text("utf-8")
    for name in ("federated", "pooled", "biopsy of all"):
        assert f">{name}</text>" in curves


def test_curves_within_clinics_and_of_net_benefit(tmp_path: Path) -> None:
    made = run(tmp_path, {"federated": with_offsets([[0.8] * 10 + [0.1] * 10, [0.3] * 20])})
    specificity, benefit = model_curves(made)["federated"]
    # East ranks all right, west nothing: weights 10 and 5.
    assert specificity == pytest.approx(np.where(GRID > 0, 10 / 15, 1))
    # Up to 10 %, all melanomas and everything else, then all melanomas and 15 others.
    assert benefit[8] == pytest.approx(15 / 40 - 25 / 40 * 9 / 91)
    assert benefit[19] == pytest.approx(15 / 40 - 15 / 40 / 4)


STUDY = """
title = "Trial"
judgements = ["melanoma"]
[rows.plain]
data = "synthetic"
weights = "none"
"""


def test_a_study_of_finished_runs_is_analysed_and_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trial.toml").write_text(STUDY)
    out = tmp_path / "dermafed-study-trial"
    made = run(out / "runs", {"federated": with_offsets(finding(9))}, "plain")
    assert not (made.folder / SETTINGS_FILE).exists(), "so any settings fit"
    study(str(tmp_path / "trial.toml"), out=out, as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    saved = json.loads((out / "melanoma.json").read_text("utf-8"))
    assert saved["title"] == "Trial"
    published = json.loads(publish(out, tmp_path).read_text("utf-8"))
    assert len(published["lines"]["melanoma"]) == len(saved["lines"]) > 20
    images = {path.name for path in (tmp_path / "docs" / "images").iterdir()}
    assert images == {"trial-melanoma.svg", "trial-melanoma-curves.svg"}
