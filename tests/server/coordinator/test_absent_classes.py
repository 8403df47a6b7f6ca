"""A plan with ``mask_absent`` from its file to the model, by the class counts of the agreement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermafed.client.node.client_app import build_client_app
from dermafed.server.coordinator import coordinator, run_execution
from dermafed.server.coordinator.agree import Agreement, agree
from dermafed.server.record.runs_table import RESUMABLE, Status, change_status, find_run
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.shares import members_of
from dermafed.simulation.engines.local import run_local
from tests.server.coordinator.runs_in_process import CLINICS, Server
from tests.server.small_clinics import FEATURES, server, trainer_for

ROUNDS = 4


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(coordinator, "TICK_SECONDS", 0.01)
    return Server(tmp_path)


def test_a_class_is_averaged_over_the_clinics_that_have_it(
    served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the agreement says it, and not as a clinic's weights do."""
    counts = {"graz": (4, 3, 0), "linz": (8, 8, 7), "wels": (30, 30, 0)}

    def agreed(*args: Any, **options: Any) -> Agreement:
        return replace(agree(*args, **options), counts=counts)

    monkeypatch.setattr(run_execution, "agree", agreed)
    served.ask("first", ROUNDS, rules="[training]\nmask_absent = true")
    with served.running():
        assert "do not say where the last layer is" in served.await_status("first", Status.PAUSED).why
        first = served.runs_folder(find_run(served.record, "first")) / START_FILE
        with np.load(first) as file:
            np.savez(first, features=FEATURES, **file)
        change_status(served.record, 1, RESUMABLE, Status.ASKED)
        done = served.await_status("first", Status.FINISHED)
    rules = {"largest_share": 0.5, "largest_step": 3.0}
    options = {"held": HeldClasses.of(counts, FEATURES), "members": members_of(counts, "logits")}
    app = server(tmp_path / "expected", rounds=ROUNDS, **rules, **options)
    run_local(app, build_client_app(trainer_for), list(CLINICS))
    last = load_state(served.runs_folder(done)).weights
    np.testing.assert_array_equal(last, load_state(tmp_path / "expected").weights)
