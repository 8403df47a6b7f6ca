"""Whole runs on a few real images: train, evaluate the model, be killed and continue."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from dermafed.client.cli import main as fl_client
from dermafed.server.cli import main as fl_server
from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.metrics.challenge_csv import PREDICTIONS_FILE, TRUTH_FILE
from dermafed.simulation import cli
from tests.commands.small_datasets import LABELS, Outcome, command, needs_real_images, real_dataset
from tests.commands.test_help import script
from tests.commands.tiny_arms import OPTIONS as TINY
from tests.commands.tiny_arms import tiny_arms
from tests.shared.training.tiny import tiny_backbones

pytestmark = [pytest.mark.journey, needs_real_images]

CLINICS = ["north", "south"]
IMAGES = 36  # of each clinic
# Rounds of some seconds, so that a run can be killed in the middle of one.
SMALL = (
    *("--weights", "none", "--image-size", "32", "--rounds", "2", "--batch-size", "16", "--skip-bad"),
    *("--frozen-blocks", "6"),  # less to trace
)
ONE_NETWORK = ("--batch-norm", "aggregate")  # the default traces another for the second half


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_dataset(tmp_path_factory.mktemp("ham"), lesions=IMAGES // 3, clinics=CLINICS)


def run(name: str, *arguments: object) -> Outcome:
    """The command in a process of its own."""
    line = [script(name), *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def read_json(done: Outcome) -> dict[str, Any]:
    assert done.code == 0, done.err
    assert done.out.count("\n") == 1, "one object, and nothing else"
    answer: dict[str, Any] = json.loads(done.out)
    return answer


def test_a_run_gives_its_table_and_a_model_that_can_be_evaluated(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The commands in this process, the arms in theirs, of a tiny network.

    The slow tests below start the command itself, and train EfficientNetB0.
    """
    (data / "images" / "unreadable.jpg").write_bytes(b"no image")
    with (data / "metadata.csv").open("a") as file:
        file.write("unreadable,none,nv,consensus,50,male,back,north\n")
    folder = tmp_path / "run"
    options = (*SMALL, *TINY, *ONE_NETWORK, "--tune", 1, "--out", folder, "--json")
    with tiny_arms():
        result = read_json(command(cli.main, capfd, "--data", data, *options))
    assert {clinic["name"]: sum(clinic["images"].values()) for clinic in result["clinics"]} == dict.fromkeys(
        CLINICS, IMAGES
    )
    assert any("Skipped 1 unreadable" in note for note in result["notes"])
    for arm in ("federated", "tuned", "local", "pooled"):
        assert set(result["offsets"][arm]) == set(result[arm]), "the same metrics with offsets"
        ranking = result["melanoma"]["as_trained"][arm]
        for metrics in (result[arm], *(result[arm]["clinics"][clinic] for clinic in CLINICS)):
            assert all(0 <= metrics[name] <= 1 for name in ("balanced_accuracy", "accuracy", "auc"))
        for clinic in CLINICS:
            expected = result[arm]["clinics"][clinic]["per_class"]["melanoma"]["auc"]
            assert ranking["clinics"][clinic]["auc"]["value"] == pytest.approx(expected)
    for kind in ("as_trained", "with_offsets"):
        alert = result["melanoma"][kind]["federated"]["one_threshold"]
        assert alert["all"]["sensitivity"]["n"] == sum(
            each["sensitivity"]["n"] for each in alert["clinics"].values()
        )
    rules = result["melanoma"]["with_offsets"]["federated"]["own_thresholds"]["rules"]
    assert set(rules) <= set(CLINICS)
    assert rules
    assert result["seconds"] > 0
    assert "<html" in Path(result["report"]).read_text("utf-8").lower()
    assert 0 <= result["federated"]["calibration"]["expected_calibration_error"] <= 1
    scores, truth = (pd.read_csv(folder / name, index_col="image") for name in (PREDICTIONS_FILE, TRUTH_FILE))
    hits = scores.idxmax(axis=1) == truth.idxmax(axis=1)
    assert hits.mean() == pytest.approx(result["federated"]["accuracy"])
    card = (folder / "card.md").read_text("utf-8")
    assert "There are too few test images to report by clinic" in card
    assert "| sex: female |" in card, "groups of patients are evaluated too"
    arguments = ("--model", result["model"], "--skip-bad", "--out", tmp_path / "eval", "--json")
    evaluation = read_json(command(fl_client, capfd, "evaluate", data, *arguments))
    assert evaluation["images"] == 2 * IMAGES
    assert [len(evaluation["unreadable"]), evaluation["round"]] == [1, 2]
    assert_same_on_test_images(result, evaluation, folder)
    rounds = read_json(command(fl_server, capfd, "history", folder, "--json"))["rounds"]
    assert [row["round"] for row in rounds] == [1, 2]


def assert_same_on_test_images(result: dict[str, Any], evaluation: dict[str, Any], folder: Path) -> None:
    """The saved model, evaluated by another command, has the same accuracy on the run's test images."""
    tests: set[str] = set()
    for path in folder.glob("sites/clinics/*/site.csv"):
        with path.open(newline="") as file:
            tests |= {row["image_id"] for row in csv.DictReader(file) if row["split"] == "test"}
    with Path(evaluation["predictions"]).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["image"] in tests]
    hits = sum(max(LABELS, key=lambda name: float(row[name])) == row["label"] for row in rows)
    assert hits / len(rows) == pytest.approx(result["federated"]["accuracy"])


@pytest.mark.slow
def test_a_run_killed_in_its_second_round_and_resumed_ends_with_the_same_bits(
    data: Path, tmp_path: Path
) -> None:
    arguments = ["--data", data, *SMALL, "--epochs", 2, "--no-baselines", "--json"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    read_json(run("fl-simulate", *arguments, "--out", whole))
    kill_in_second_round(killed, [script("fl-simulate"), *map(str, arguments), "--out", str(killed)])
    assert load_state(killed / "arms" / "federated").round == 1
    read_json(run("fl-simulate", "--resume", killed, "--json"))
    ends = [load_state(folder / "arms" / "federated") for folder in (whole, killed)]
    assert [end.round for end in ends] == [2, 2]
    assert np.array_equal(ends[0].weights.view(np.uint32), ends[1].weights.view(np.uint32))


def kill_in_second_round(folder: Path, command: list[str]) -> None:
    """Starts a run and kills its main process after the first round; its children must end as well."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first_round = folder / "arms" / "federated" / "round-0001.npz"
    end = time.monotonic() + 300
    while not first_round.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the first round never came"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    # Every process of the run holds these pipes: they close when the last one is gone.
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def test_weights_of_another_architecture_leave_nothing_behind(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = data.parent / "tiny.weights.h5"
    with tiny_backbones():
        keras.applications.EfficientNetB7(False, None, (32, 32, 3)).save_weights(weights)
    options = ("--weights", weights, "--no-baselines", "--out", tmp_path / "run")
    done = command(cli.main, capsys, "--data", data, *SMALL[2:], *options)
    assert done.code == 2, done.err
    assert "do not fit EfficientNetB0" in done.err
    assert str(weights) in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_clinics_measure_explanations_of_the_last_model(data: Path, tmp_path: Path) -> None:
    arguments = ["--data", data, *SMALL, "--rounds", 1, "--clinics", "iid:1", "--no-baselines"]
    result = read_json(run("fl-simulate", *arguments, "--explain", "--out", tmp_path / "run", "--json"))
    assert not result["explanations"]["left_out"]
    (clinic,) = result["explanations"]["clinics"].values()
    assert clinic == result["explanations"]["all"]
    assert clinic["images"] == result["clinics"][0]["splits"]["validation"]
    assert {"deletion", "insertion", "drop", "stability_shift"} <= clinic["measures"].keys()
    assert "How good the explanations are" in Path(result["report"]).read_text("utf-8")
