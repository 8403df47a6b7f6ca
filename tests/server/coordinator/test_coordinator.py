"""The coordinator's loop: runs are executed, paused, stopped and resumed; clinics come and go."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from threading import Event
from typing import Any

import numpy as np
import pytest
from flwr.app import Context
from flwr.serverapp import Grid

from dermafed.client.node.client_app import build_client_app
from dermafed.server.coordinator import coordinator, run_execution
from dermafed.server.coordinator.agree import Agreement, agree
from dermafed.server.coordinator.run_shares import load_shares
from dermafed.server.record.clinics_table import enrol, list_clinics, revoke
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_answers, list_rounds, read_rounds
from dermafed.server.record.runs_table import RESUMABLE, Status, change_status, find_run
from dermafed.server.record.suspensions_table import suspend
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.history import read_history
from dermafed.server.rounds.open_exchange import load_exchange
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.trainer import FloatVector, Trainer, Update
from dermafed.simulation.engines.local import run_local
from tests.server.coordinator.runs_in_process import CLINICS, Server, public_key
from tests.server.small_clinics import PARAMETERS, SIZES, lesions, probabilities, server, trainer_for

ROUNDS = 4


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(coordinator, "TICK_SECONDS", 0.01)
    return Server(tmp_path)


@pytest.fixture
def expected(tmp_path: Path) -> FloatVector:
    """The model after the same rounds without a coordinator, by the same rules as a plan's."""
    rules = {"largest_share": 0.5, "largest_step": 3.0}
    run_local(server(tmp_path / "expected", rounds=ROUNDS, **rules), build_client_app(trainer_for), 3)
    return load_state(tmp_path / "expected").weights


@dataclass
class Instead:
    """A trainer with a call before each training."""

    trainer: Trainer
    before: Callable[[int], None]

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        self.before(round)
        return self.trainer.train(weights, round, config)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return self.trainer.evaluate(weights, round)


def before_training(served: Server, before: Callable[[int], None]) -> None:
    served.link.trainer = lambda context: Instead(trainer_for(context), before)


class Gate:
    """Stops the clinics in one round until it is opened."""

    def __init__(self, round: int) -> None:
        self.round, self.reached, self.opened = round, Event(), Event()

    def __call__(self, round: int) -> None:
        if round == self.round:
            self.reached.set()
            assert self.opened.wait(30)


def model(served: Server, name: str) -> FloatVector:
    return load_state(served.runs_folder(find_run(served.record, name))).weights


def test_a_run_is_executed_to_its_end_and_recorded(served: Server, expected: FloatVector) -> None:
    served.ask("spring", ROUNDS)
    with served.running():
        run = served.await_status("spring", Status.FINISHED)
    assert (run.rounds_done, run.why, run.class_counts) == (ROUNDS, "", (31, 30, 29))
    np.testing.assert_array_equal(model(served, "spring"), expected)
    history = read_history(served.runs_folder(run))
    recorded = list_rounds(served.record, run.number)
    assert [row["validation_loss"] for row in recorded] == [row.validation_loss for row in history]
    answers = list_answers(served.record, run.number)
    assert {name: answer.decision for name, answer in answers.items()} == dict.fromkeys(CLINICS, "approved")
    folder = served.runs_folder(run)
    assert (folder / "offer.json").read_text() == run.offer
    assert (folder / "plan.toml").read_text() == run.plan
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_run_s_folder_says_who_is_waited_for_and_who_failed(served: Server) -> None:
    gate = Gate(round=3)

    def before(context: Context) -> Trainer:
        def train(round: int) -> None:
            if context.node_config["partition-id"] == 0:
                raise FederationError("no images")
            if context.node_config["partition-id"] == 2:
                gate(round)

        return Instead(trainer_for(context), train)

    served.link.trainer = before
    run = served.ask("spring", ROUNDS)
    with served.running():
        assert gate.reached.wait(30)
        exchange = load_exchange(served.runs_folder(run))
        assert exchange is not None
        assert (exchange.kind, exchange.round, len(exchange.turns)) == ("train", 3, 3)
        assert "wels" in exchange.waiting
        gate.opened.set()
        served.await_status("spring", Status.FINISHED)
    done = load_exchange(served.runs_folder(run))
    assert done is not None
    assert not done.waiting
    weights = 4 * PARAMETERS
    assert done.traffic["linz"].sent > 2 * ROUNDS * weights  # to train and to evaluate
    assert done.traffic["linz"].received - done.traffic["graz"].received >= ROUNDS * weights
    third = read_rounds(served.record, run.number)[2]
    assert "graz: training failed there (FederationError)" in third.left_out
    small, *others = third.clinics  # graz has 7 images
    assert math.isnan(small.images)
    assert math.isnan(small.melanoma_sensitivity)
    model = load_state(served.runs_folder(run), 3).weights.astype(np.float64)
    for number, one in enumerate(others, 1):
        features, labels = lesions(number, SIZES[number])
        found = probabilities(model, features).argmax(axis=1)[labels == 0] == 0
        assert (one.images, one.melanoma_sensitivity) == (SIZES[number], found.mean())


def test_runs_are_executed_one_at_a_time_in_their_order(served: Server) -> None:
    for name in ("first", "second", "third"):
        served.ask(name, 2)
    with served.running():
        runs = [served.await_status(name, Status.FINISHED) for name in ("first", "second", "third")]
    assert served.link.most_open == 1
    assert [run.number for run in sorted(runs, key=lambda run: (run.ended or "", run.number))] == [1, 2, 3]


def test_a_missed_quorum_pauses_with_the_clinics_reasons_and_resume_continues(
    served: Server, expected: FloatVector
) -> None:
    def fail(round: int) -> None:
        if round == 3:
            raise FederationError("no images")

    before_training(served, fail)
    served.ask("spring", ROUNDS, "attempts = 2\nquorum = 3")
    with served.running():
        run = served.await_status("spring", Status.PAUSED)
        assert "Round 3 got 0 of the 3 replies" in run.why
        assert "graz: training failed there (FederationError)" in run.why
        assert run.rounds_done == 2
        served.link.trainer = trainer_for
        assert change_status(served.record, run.number, RESUMABLE, Status.ASKED)
        served.await_status("spring", Status.FINISHED)
    np.testing.assert_array_equal(model(served, "spring"), expected)


def test_a_stop_in_mid_round_preserves_the_last_round_and_resume_continues(
    served: Server, expected: FloatVector
) -> None:
    gate = Gate(round=3)
    before_training(served, gate)
    run = served.ask("spring", ROUNDS)
    with served.running():
        assert gate.reached.wait(30)
        assert change_status(served.record, run.number, [Status.RUNNING], Status.STOPPING)
        assert served.link.stopped.wait(30)
        gate.opened.set()
        run = served.await_status("spring", Status.STOPPED)
        assert (run.rounds_done, load_state(served.runs_folder(run)).round) == (2, 2)
        assert change_status(served.record, run.number, RESUMABLE, Status.ASKED)
        served.await_status("spring", Status.FINISHED)
    np.testing.assert_array_equal(model(served, "spring"), expected)


def test_a_run_continues_by_itself_when_the_server_starts_again(
    served: Server, expected: FloatVector
) -> None:
    gate = Gate(round=3)
    before_training(served, gate)
    served.ask("spring", ROUNDS)
    served.ask("summer", 2)
    with served.running() as closing:
        assert gate.reached.wait(30)
        closing.set()
        assert served.link.stopped.wait(30)
        gate.opened.set()
    run = find_run(served.record, "spring")
    assert (run.status, run.rounds_done) == (Status.RUNNING, 2)
    again = Server(served.folder)
    with again.running():
        again.await_status("summer", Status.FINISHED)
    assert find_run(served.record, "spring").status is Status.FINISHED
    np.testing.assert_array_equal(model(served, "spring"), expected)


def test_a_round_on_disk_that_is_missing_in_the_record_is_added(served: Server) -> None:
    run = served.ask("spring", ROUNDS)
    with served.running():
        served.await_status("spring", Status.FINISHED)
    with served.record.writing() as db:  # as a death between the two would have left it
        db.execute("DELETE FROM rounds WHERE round = 4")
        db.execute("UPDATE runs SET rounds_done = 3, status = 'running'")
    (served.runs_folder(run) / "round-0004.npz").unlink()
    with Server(served.folder).running():
        served.await_status("spring", Status.FINISHED)
    assert [row["round"] for row in list_rounds(served.record, run.number)] == [1, 2, 3, 4]


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """Files cannot be written any more, after so many; the note of who replied counts for none."""
    real, synced = os.fsync, [0]

    def sync(descriptor: int) -> None:
        synced[0] += "exchange" not in str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if synced[0] > after:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        yield


def test_a_full_disk_pauses_the_run_and_loses_nothing(served: Server, expected: FloatVector) -> None:
    run = served.ask("spring", ROUNDS)
    with served.running():
        # The offer, plan and shares; the start: lines, state, table; two rounds: trained, and these three.
        with full_disk(after=3 + 3 + 2 * 4):
            run = served.await_status("spring", Status.PAUSED)
        assert "No space left on device" in run.why
        assert "Free some disk space" in run.why
        assert (run.rounds_done, load_state(served.runs_folder(run)).round) == (2, 2)
        assert change_status(served.record, run.number, RESUMABLE, Status.ASKED)
        served.await_status("spring", Status.FINISHED)
    np.testing.assert_array_equal(model(served, "spring"), expected)


def test_an_ending_is_recorded_as_soon_as_possible(
    served: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = Event()
    writing = Record.writing

    def sometimes(record: Record) -> AbstractContextManager[Connection]:
        if full.is_set():
            raise StorageError("The record cannot be used: database or disk is full", where=record.path)
        return writing(record)

    monkeypatch.setattr(Record, "writing", sometimes)
    before_training(served, lambda round: full.set() if round == 2 else None)
    served.ask("spring", ROUNDS)
    with served.running():
        end = time.monotonic() + 30
        while "disk is full" not in caplog.text and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        assert caplog.text.count("disk is full") == 1  # logged once, though it is tried again and again
        assert find_run(served.record, "spring").status is Status.RUNNING
        full.clear()
        run = served.await_status("spring", Status.PAUSED)
    assert "disk is full" in run.why
    assert load_state(served.runs_folder(run)).round == 2


def test_an_unexpected_error_fails_the_run_and_the_next_one_starts(
    served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(
        grid: Grid, clinics: Mapping[int, str], offer: Offer, *others: Any, **options: Any
    ) -> Agreement:
        if offer.name == "spring":
            raise ZeroDivisionError("graz: Dr Who's image")
        return agree(grid, clinics, offer, *others, **options)

    monkeypatch.setattr(run_execution, "agree", faulty)
    served.ask("spring", ROUNDS)
    served.ask("summer", 2)
    with served.running():
        served.await_status("summer", Status.FINISHED)
    run = find_run(served.record, "spring")
    assert (run.status, run.why) == (Status.FAILED, "ZeroDivisionError; the server's log says more")


def test_first_weights_that_are_damaged_pause_the_run(served: Server) -> None:
    run = served.ask("spring", ROUNDS)
    (served.runs_folder(run) / "start.npz").write_bytes(b"junk")
    with served.running():
        run = served.await_status("spring", Status.PAUSED)
    assert "first weights cannot be read" in run.why


def test_a_run_asked_to_stop_while_the_server_was_down_is_stopped(served: Server) -> None:
    run = served.ask("spring", ROUNDS)
    change_status(served.record, run.number, [Status.ASKED], Status.STOPPING)
    with served.running():
        run = served.await_status("spring", Status.STOPPED)
    assert run.rounds_done == 0


def test_patience_finishes_a_run_early_with_the_reason(served: Server) -> None:
    served.ask("spring", 50, "patience = 2")
    with served.running():
        run = served.await_status("spring", Status.FINISHED)
    scores = [row["validation_balanced_accuracy"] for row in list_rounds(served.record, run.number)]
    assert run.rounds_done < 50
    assert run.why == "no better model in 2 rounds"
    assert max(scores[:-2]) == max(scores)


def test_clinics_are_admitted_and_removed_as_the_record_says(served: Server) -> None:
    def connected() -> set[str]:
        return {node.clinic for node in served.link.nodes()}

    def until(names: set[str]) -> None:
        end = time.monotonic() + 30
        while connected() != names:
            assert time.monotonic() < end, connected()
            time.sleep(0.01)

    served.link.register("stranger", b"a key that nobody enrolled")
    with served.running():
        until(set(CLINICS))
        before = {node.clinic: node.id for node in served.link.nodes()}
        revoke(served.record, "graz")
        until({"linz", "wels"})
        enrol(served.record, "graz", public_key(9))
        enrol(served.record, "steyr", public_key(10))
        until({*CLINICS, "steyr"})
        time.sleep(0.1)
    after = {node.clinic: node.id for node in served.link.nodes()}
    assert after["linz"] == before["linz"]
    assert after["graz"] != before["graz"]
    assert all(clinic.online for clinic in list_clinics(served.record, revoked=False))


def test_a_suspended_clinic_is_not_waited_for(served: Server) -> None:
    """The others agree and train at once, though they have a day for it."""
    run = served.ask("first", rounds=1)
    suspend(served.record, "wels", "labels look exchanged")
    with served.running():
        served.await_status("first", Status.FINISHED)
    assert sorted(load_shares(served.runs_folder(run))) == ["graz", "linz"]
