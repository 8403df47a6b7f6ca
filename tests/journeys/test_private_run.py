"""A federation of real processes with differential privacy: what is debited, and a ledger that is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE, read_first_weights
from dermafed.shared.model.classifier import normalise_like_imagenet
from tests.commands.small_datasets import draw_dataset
from tests.journeys.whole_run import WholeRun, whole_run

pytestmark = pytest.mark.slow

CLINICS = ("north", "south")
PLAN = """
name = "{name}"
rounds = 2
weights = "{weights}"
threads = 1
privacy = {{ dp = {{ epsilon = 4, delta = 1e-3, place = "clinic", layers = "head", rate = 0.5 }} }}
[model]
image_size = 32
[training]
optimizer = "sgd"
learning_rate = 1.0
[rules]
quorum = 1
deadline = "1h"
approval = "1h"
wait = "1h"
"""


def ledger(run: WholeRun, clinic: str) -> Any:
    return json.loads(run.clinic(clinic, "privacy", "--json"))


def test_clinics_debit_what_they_release_and_a_lost_ledger_is_noticed(tmp_path: Path) -> None:
    weights = tmp_path / "b0.weights.h5"
    network = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    normalise_like_imagenet(network)
    network.save_weights(weights)
    with whole_run(tmp_path / "run") as run:
        data = {
            name: draw_dataset(run.folder / "clinics" / name / "data", [name], lesions=40) for name in CLINICS
        }
        run.start_all(PLAN.format(name="spring", weights=weights), data)
        last = run.finished_run()
        assert (last["status"], last["rounds_done"]) == ("finished", 2), last
        folder = run.server / "runs" / "0001-spring"
        first, end = read_first_weights(folder / START_FILE), load_state(folder).weights
        layer = (first.features + 1) * 3
        assert (first.weights[:-layer] == end[:-layer]).all()
        assert (first.weights[-layer:] != end[-layer:]).all()
        released = ["counts", "training", "validation", "training", "validation"]
        for name in CLINICS:
            found = ledger(run, name)
            assert [one["what"] for one in found["plans"][0]["releases"]] == released
            assert 4 < found["spent"] < 6  # at the budget's delta, which is smaller than the plan's
        assert set(json.loads((run.server / "ledgers.json").read_text())) == set(CLINICS)

        run.stop("north")
        for path in run.home("north").glob("privacy.db*"):
            path.unlink()
        run.start_node("north")
        run.start_run(PLAN.format(name="autumn", weights=weights), CLINICS)
        assert run.finished_run()["status"] == "finished"
        rows = load_state(run.server / "runs" / "0002-autumn").history
        assert all("north: " in row.left_out and "LedgerSetBack" in row.left_out for row in rows)
        assert [one["what"] for one in ledger(run, "north")["plans"][0]["releases"]] == ["counts"]
        assert len(ledger(run, "south")["plans"]) == 2
        assert np.isfinite(load_state(run.server / "runs" / "0002-autumn").weights).all()
