"""Runs that end suddenly and go on: the same weights, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.trainer_cache import TrainerFor
from dermafed.server.rounds.checkpoint import load_best, load_state
from dermafed.server.rounds.history import best_round, read_history
from dermafed.server.rounds.shares import Member
from dermafed.server.rounds.strategies import make_strategy
from dermafed.shared.errors import DermaFedError, FederationError, SettingsError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import run_local
from tests.paths import ROOT
from tests.server.small_clinics import SIZES, Regression, lesions, server, trainer_for

ROUNDS = 5


class Mortal(Regression):
    """Kills its process in the middle of round 3."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        if round == 3 and len(self.labels) == SIZES[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train(weights, round, config)


def mortal_for(context: Context) -> Mortal:
    clinic = int(context.node_config["partition-id"])
    return Mortal(*lesions(clinic, SIZES[clinic]))


def run(folder: Path, strategy: str = "fedavg", trainers: TrainerFor = trainer_for, **options: Any) -> None:
    app = server(folder, rounds=ROUNDS, strategy=make_strategy(strategy), **options)
    run_local(app, build_client_app(trainers), len(SIZES))


def assert_same_weights(one: Path, other: Path) -> None:
    np.testing.assert_array_equal(load_state(one).weights, load_state(other).weights)


def run_until_killed(folder: Path, strategy: str) -> int:
    code = (
        "from pathlib import Path; from tests.server.rounds.test_resume import mortal_for, run; "
        f"run(Path({str(folder)!r}), {strategy!r}, mortal_for)"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode


@pytest.mark.parametrize("strategy", ["fedavg", "fedadam"])
def test_killed_in_a_round_and_resumed_equals_never_stopped(tmp_path: Path, strategy: str) -> None:
    assert run_until_killed(tmp_path / "killed", strategy) == -signal.SIGKILL
    assert load_state(tmp_path / "killed").round == 2
    run(tmp_path / "killed", strategy, resume=True)
    run(tmp_path / "whole", strategy)
    killed, whole = load_state(tmp_path / "killed"), load_state(tmp_path / "whole")
    assert killed.round == whole.round == ROUNDS
    np.testing.assert_array_equal(killed.weights, whole.weights)
    assert killed.memory.keys() == whole.memory.keys()
    for name, values in whole.memory.items():
        np.testing.assert_array_equal(killed.memory[name], values)
    metrics = [[row.train_loss, row.validation_loss, row.validation_auc] for row in whole.history]
    assert metrics == [[row.train_loss, row.validation_loss, row.validation_auc] for row in killed.history]
    assert len((tmp_path / "killed" / "history.csv").read_text().splitlines()) == ROUNDS + 1


def test_damaged_state_falls_back_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path / "whole", "fedyogi")
    run(tmp_path / "hurt", "fedyogi")
    last = tmp_path / "hurt" / f"round-{ROUNDS:04d}.npz"
    last.write_bytes(last.read_bytes()[:-100])
    assert load_state(tmp_path / "hurt").round == ROUNDS - 1
    assert f"{last.name} cannot be read" in caplog.text
    run(tmp_path / "hurt", "fedyogi", resume=True)
    np.testing.assert_array_equal(
        load_state(tmp_path / "hurt").weights, load_state(tmp_path / "whole").weights
    )


def test_flipped_bytes_are_detected(tmp_path: Path) -> None:
    run(tmp_path)
    last = tmp_path / f"round-{ROUNDS:04d}.npz"
    content = bytearray(last.read_bytes())
    at = content.find(load_state(tmp_path).weights.tobytes())
    content[at + 5] ^= 1
    last.write_bytes(content)
    assert load_state(tmp_path).round == ROUNDS - 1


def test_leftovers_of_a_crash_while_writing_are_removed(tmp_path: Path) -> None:
    run_local(server(tmp_path, rounds=2), build_client_app(trainer_for), 3)
    (tmp_path / ".round-0003.npz.1f.part").write_bytes(b"half")
    run(tmp_path, resume=True)
    assert not list(tmp_path.glob(".*"))


def test_the_best_model_outlives_damage_to_the_last_state(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / f"round-{ROUNDS:04d}.npz").write_bytes(b"")
    before = load_state(tmp_path)
    assert before.round == ROUNDS - 1
    assert load_best(tmp_path).round == best_round(before.history)


def test_a_folder_without_an_undamaged_state_is_an_error(tmp_path: Path) -> None:
    run(tmp_path)
    for path in tmp_path.glob("round-*.npz"):
        path.write_bytes(b"")
    with pytest.raises(FederationError, match="cannot be read"):
        run(tmp_path, resume=True)
    with pytest.raises(FederationError, match="no state"):
        load_best(tmp_path / "elsewhere")


def test_resume_refuses_other_settings_by_name(tmp_path: Path) -> None:
    run(tmp_path, settings={"seed": 1, "classes": ("a", "b"), "image_size": 224})
    with pytest.raises(SettingsError) as caught:
        run(tmp_path, "fedadam", resume=True, settings={"seed": 2, "classes": ("a", "b"), "image_size": 224})
    assert "seed (1, now 2)" in str(caught.value)
    assert "strategy ('fedavg', now 'fedadam')" in str(caught.value)
    assert "classes" not in caught.value.what
    run(tmp_path, resume=True, settings={"seed": 1, "classes": ("a", "b"), "image_size": 224})


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    run(tmp_path)
    before = load_state(tmp_path)
    with pytest.raises(SettingsError, match="has a run already"):
        run(tmp_path)
    np.testing.assert_array_equal(load_state(tmp_path).weights, before.weights)


def test_more_rounds_continue_a_finished_run(tmp_path: Path) -> None:
    client = build_client_app(trainer_for)
    run_local(server(tmp_path / "short", rounds=2), client, 3)
    run_local(server(tmp_path / "short", rounds=4, resume=True), client, 3)
    run_local(server(tmp_path / "long", rounds=4), client, 3)
    np.testing.assert_array_equal(
        load_state(tmp_path / "short").weights, load_state(tmp_path / "long").weights
    )


@pytest.mark.parametrize("flushes", range(3, 12))  # of the start and two rounds, three files each
def test_a_full_disk_leaves_the_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushes: int
) -> None:
    real = os.fsync
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > flushes:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DermaFedError, match="No space left"):
        run(tmp_path)
    monkeypatch.undo()
    assert load_state(tmp_path).round == (flushes - 2) // 3  # the start's third file is history.csv
    assert not list(tmp_path.glob(".*"))
    run(tmp_path, resume=True)
    state = load_state(tmp_path)
    assert state.round == ROUNDS
    assert str(read_history(tmp_path)) == str(list(state.history))


@dataclass
class Fleeting(Regression):
    """Notes each model that it is asked to evaluate; the largest clinic misses the first training."""

    seen: list[bytes]
    first: bool

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        if self.first and len(self.labels) == max(SIZES):
            raise ValueError("not now")
        return super().train(weights, round, config)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        self.seen.append(weights.tobytes())
        if self.first:
            raise ValueError("not now")
        return super().evaluate(weights, round)


def test_a_run_that_stopped_before_its_evaluation_goes_on_with_the_same_model(
    tmp_path: Path,
) -> None:
    seen: list[bytes] = []
    members = {f"clinic-{number}": Member(images, images) for number, images in enumerate(SIZES)}

    def trainers(first: bool) -> TrainerFor:
        def trainer(context: Context) -> Fleeting:
            clinic = int(context.node_config["partition-id"])
            return Fleeting(*lesions(clinic, SIZES[clinic]), seen, first)

        return trainer

    def go_on(first: bool) -> None:
        app = server(tmp_path, rounds=1, quorum=2, attempts=1, members=members, resume=True)
        run_local(app, build_client_app(trainers(first)), list(members))

    with pytest.raises(FederationError, match="replies to 'evaluate'"):
        go_on(first=True)
    go_on(first=False)
    assert len(seen) == 2 * len(SIZES)
    assert len(set(seen)) == 1
    row = load_state(tmp_path).history[0]
    assert row.replied == 2  # as it was trained
    assert "training failed" in row.left_out
