"""A federation of real processes over TLS trains the same model as a simulation of it."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE, read_first_weights
from tests.commands.small_datasets import needs_real_images, real_dataset, write_manifest
from tests.journeys.whole_run import whole_run

pytestmark = [pytest.mark.slow, needs_real_images]

CLINICS = ("rosendahl", "vidir_modern", "vienna_dias")
LESIONS = 14  # of each of three diagnoses at each clinic
ROUNDS = 3
SEED = 7
PLAN = f"""
name = "first"
rounds = {ROUNDS}
seed = {SEED}
weights = "none"
threads = 1
[model]
image_size = 64
[training]
epochs = 1.0
[rules]
quorum = 3
deadline = "1h"
approval = "1h"
wait = "1h"
"""
OPTIONS = (
    *("--clinics", "clinic", "--rounds", ROUNDS, "--epochs", 1.0, "--seed", SEED, "--weights", "none"),
    *("--image-size", 64, "--no-baselines", "--engine", "local"),
)


def copy_part(whole: Path, clinic: str, folder: Path) -> Path:
    """Copy one clinic's part of a data set."""
    with (whole / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["clinic"] == clinic]
    (folder / "images").mkdir(parents=True)
    for row in rows:
        shutil.copy(whole / "images" / f"{row['image_id']}.jpg", folder / "images")
    write_manifest(folder, rows)
    return folder


@contextmanager
def one_core() -> Iterator[None]:
    """Commands with a thread for each core use one thread."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_the_weights_are_those_of_the_simulation(tmp_path: Path) -> None:
    whole = real_dataset(tmp_path / "whole", LESIONS, CLINICS)
    with whole_run(tmp_path / "run") as run:
        data = {name: copy_part(whole, name, run.folder / "clinics" / name / "data") for name in CLINICS}
        run.start_all(PLAN, data)
        last = run.finished_run()
        assert (last["status"], last["rounds_done"]) == ("finished", ROUNDS), last
        assert sum(last["class_counts"]) < 3 * LESIONS * len(CLINICS)
        for name in (*CLINICS, "server"):
            assert run.stop(name) == 0
        with one_core():
            run.call("fl-simulate", "--data", whole, *OPTIONS, "--out", tmp_path / "simulated")
    there = load_state(run.server / "runs" / "0001-first")
    here = load_state(tmp_path / "simulated" / "arms" / "federated")
    start = read_first_weights(run.server / "runs" / "0001-first" / START_FILE)
    assert (there.round, here.round) == (ROUNDS, ROUNDS)
    assert np.abs(there.weights - start.weights).max() > 1e-3  # something was learned
    assert np.abs(there.weights - here.weights).max() <= 1e-5
    for ours, theirs in zip(there.history, here.history, strict=True):
        assert (ours.replied, ours.left_out) == (len(CLINICS), "")
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-5)
        assert ours.validation_balanced_accuracy == theirs.validation_balanced_accuracy
