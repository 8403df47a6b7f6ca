"""Rounds whose changes travel in few bits, plain and in secure sums, over real Flower apps and messages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message, MessageType, RecordDict

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.sum_replay import Replay
from dermafed.client.node.sum_transcript import SumTranscripts
from dermafed.server.flower.sparing_grid import SparingGrid
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.coding import Coding
from dermafed.shared.protocol.sum_messages import SUMMED, decode_sum
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import become_server_task, run_local
from tests.server.small_clinics import NAMES, PARAMETERS, Regression, lesions, server, trainer_for
from tests.server.sparing_clinics import Workers
from tests.server.summing_clinics import SIZES, Clinics, Tapped
from tests.shared.secure_sum.conftest import each_signature_checked_once as each_signature_checked_once

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

BITS = 10
ALL = np.ones(PARAMETERS, bool)
ADAPTED = np.arange(PARAMETERS) >= 3
CODING = Coding(ALL, ADAPTED, BITS)


def coded_clinics() -> Clinics:
    return Clinics(bits=BITS)


def test_secure_rounds_in_few_bits_are_nearly_those_in_full_and_resume(tmp_path: Path) -> None:
    whole = Clinics().run(tmp_path / "whole", rounds=3)
    grid = Tapped(clinics := coded_clinics())
    clinics.run(tmp_path / "coded", grid, rounds=2, coding=CODING)
    resumed = Tapped(clinics)
    state = clinics.run(tmp_path / "coded", resumed, rounds=3, coding=CODING, resume=True)
    assert [row.replied for row in state.history] == [5, 5, 5]
    moved = np.abs(whole.weights - load_state(tmp_path / "whole", 2).weights).max()
    assert 0 < np.abs(state.weights - whole.weights).max() < 0.1 * moved
    replies = [*grid.replies, *resumed.replies]
    sent = [decode_sum(content) for _, kind, content in replies if kind == SUMMED["train"] and content]
    vectors = [MaskedVector.of_any_length(message) for message in sent]
    # Of the first round no scale is known; then weight, loss and check number have 32 bits, and 3 weights.
    assert [vector.tail.size for vector in vectors] == [*5 * [0], *10 * [15]]
    assert len(sent[-1]) == 4 + 6 + 4 * (3 + 3) + 15 + 2 * 2  # 8 bits, and two planes of 2 bytes
    assert all(vector.tail.bits == BITS for vector in vectors[5:])


def test_a_clinic_replays_rounds_in_few_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinics = Clinics(bits=BITS, transcripts=tmp_path)
    grid = Tapped(clinics)
    clinics.run(tmp_path / "run", grid, rounds=2, coding=CODING)
    agreed = clinics.summing
    monkeypatch.setattr(Summing, "of", lambda offer, class_counts: agreed)
    offer = SimpleNamespace(privacy=agreed.privacy, strategy="fedavg")
    stored: Any = SimpleNamespace(offer=offer, class_counts=None, runs=(grid.run.run_id,))
    replay = Replay(stored, "linz", SumTranscripts(tmp_path / "linz"))

    def faults(round: int) -> list[str]:
        sums = [check for one in replay.round(round) for check in one.checks]
        return [check.fault for check in (*sums, *replay.models(round)) if check.fault]

    assert [len(replay.round(round)) for round in (1, 2)] == [2, 2]
    assert faults(1) == faults(2) == []
    assert "have a cosine of" in replay.models(2)[-1].what
    path = tmp_path / "linz" / "train-2-1.json"
    path.write_text(path.read_text().replace('"coded": 15', '"coded": 0'))  # the control
    assert "encodes the values otherwise" in faults(2)[0]


class Leaping(Regression):
    """A trainer whose steps are much longer from round 3 on."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        update = super().train(weights, round, config)
        factor = np.float32(40 if round >= 3 else 1)
        return Update(weights + factor * (update.weights - weights), update.weight, update.metrics)


@pytest.mark.parametrize("leap", [{2}, {0, 1, 2, 3, 4}])
def test_a_change_that_does_not_fit_is_refused_and_with_too_few_left_all_travel_in_full(
    tmp_path: Path, leap: set[int]
) -> None:
    def trainer(clinic: int) -> Regression:
        return (Leaping if clinic in leap else Regression)(*lesions(clinic, SIZES[clinic]))

    clinics = Clinics(bits=BITS, trainer=trainer)
    state = clinics.run(tmp_path, rounds=3, coding=CODING)
    third = state.history[2]
    if len(leap) == 1:
        assert "salzburg: training failed there" in third.left_out
        assert third.replied == 4
        return
    assert (third.replied, third.left_out) == (5, "")  # in the second attempt
    before = load_state(tmp_path, 2).weights
    steps = [trainer(clinic).train(before, 3, {}).weights - before for clinic in range(5)]
    mean = np.average(steps, axis=0, weights=SIZES)
    assert np.abs(state.weights - before - mean).max() <= 0.01 * np.abs(mean).max()


def test_a_sum_beyond_its_bits_is_noticed_though_each_clinic_fits(tmp_path: Path) -> None:
    class Doubling(Leaping):
        def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
            update = Regression.train(self, weights, round, config)
            step = update.weights - weights
            return Update(weights + np.float32(12 if round == 3 else 1) * step, update.weight, update.metrics)

    clinics = Clinics(
        sizes=(30, 30, 30, 30, 30),
        bits=BITS,
        trainer=lambda clinic: Doubling(*lesions(0, 30)),  # the same, so that they add up
    )
    state = clinics.run(tmp_path, rounds=4, coding=CODING)
    assert "does not fit into 10 bits" in state.history[2].left_out
    assert state.history[3].replied == 5


def test_plain_rounds_in_few_bits_travel_in_few_bits_both_ways(tmp_path: Path) -> None:
    run_local(server(tmp_path / "whole", rounds=4), build_client_app(trainer_for), NAMES)
    become_server_task()
    workers = Workers(build_client_app(trainer_for), NAMES)
    app = server(tmp_path / "coded", rounds=4, coding=CODING)
    app(SparingGrid(workers), Context(1, 1, {}, RecordDict(), {}))
    state, whole = load_state(tmp_path / "coded"), load_state(tmp_path / "whole")
    moved = np.abs(whole.weights - load_state(tmp_path / "whole", 3).weights).max()
    assert 0 < np.abs(state.weights - whole.weights).max() < 0.1 * moved
    down = [weights for place, _, weights in workers.down if place == 0]
    assert down == [PARAMETERS, 3, 0, 3, 0, 3, 0, 3]  # the first model; then what is not coded, and nothing
    assert {weights for _, kind, weights in workers.up if kind == MessageType.TRAIN} == {3}
    # The same run without workers that leave anything out, and again: the same models to the last bit.
    run_local(server(tmp_path / "local", rounds=4, coding=CODING), build_client_app(trainer_for), NAMES)
    assert load_state(tmp_path / "local").weights.tobytes() == state.weights.tobytes()


def test_what_training_does_not_move_does_not_travel(tmp_path: Path) -> None:
    class Frozen(Regression):
        def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
            update = super().train(weights, round, config)
            return Update(np.where(ADAPTED, update.weights, weights), update.weight, update.metrics)

    def trainer(clinic: int) -> Frozen:
        return Frozen(*lesions(clinic, SIZES[clinic]))

    grid = Tapped(clinics := Clinics(trainer=trainer))
    state = clinics.run(tmp_path / "part", grid, rounds=2, coding=Coding(ADAPTED, ALL))
    whole = Clinics(trainer=trainer).run(tmp_path / "whole", rounds=2)
    assert state.weights.tobytes() == whole.weights.tobytes()
    sent = [decode_sum(content) for _, kind, content in grid.replies if kind == SUMMED["train"] and content]
    assert {len(message) for message in sent} == {4 + 4 * (PARAMETERS - 3 + 2)}
    # Who moves another weight is left out: the sum would lack it.
    moving = Clinics(trainer=lambda clinic: (Regression if clinic == 1 else Frozen)(*lesions(clinic, 9)))
    row = moving.run(tmp_path / "moving", rounds=1, coding=Coding(ADAPTED, ALL)).history[0]
    assert row.left_out.startswith("linz: training failed there (FederationError)")


def test_another_step_than_the_one_in_the_masks_is_refused(tmp_path: Path) -> None:
    def change(clinic: int, message: Message) -> Message:
        content = message.content
        if clinic == 1 and "coding" in content and content["coding"]["step"] > 0:
            content = RecordDict(content)
            content["coding"] = type(content["coding"])({**content["coding"], "step": 1e-9})
            about = message.metadata
            return Message(content, about.dst_node_id, about.message_type, group_id=about.group_id)
        return message

    clinics = coded_clinics()
    state = clinics.run(tmp_path, Tapped(clinics, change=change), rounds=2, coding=CODING)
    assert state.history[0].replied == 5
    assert state.history[1].left_out.startswith("linz: training failed there (FederationError)")
