"""Each model is sent to each clinic once, and the run is what it was, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict

from dermafed.client.node.client_app import build_client_app
from dermafed.server.flower.sparing_grid import SparingGrid
from dermafed.server.rounds.checkpoint import RunState, load_state
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.protocol.sum_messages import SUMMED
from dermafed.simulation.engines.local import become_server_task, run_local
from tests.server.small_clinics import NAMES, server, trainer_for
from tests.server.sparing_clinics import Workers
from tests.server.summing_clinics import Clinics

TRAIN, EVALUATE = MessageType.TRAIN, MessageType.EVALUATE


def spared(
    folder: Path, forgets: Callable[[int, str, str], bool] = lambda *_: False, **options: Any
) -> tuple[RunState, Workers]:
    become_server_task()
    workers = Workers(build_client_app(trainer_for), NAMES, forgets)
    server(folder, **options)(SparingGrid(workers), Context(1, 1, {}, RecordDict(), {}))
    return load_state(folder), workers


def same(state: RunState, other: RunState) -> bool:
    """Whether two runs have the same models and figures; their seconds differ."""
    rows = [[replace(row, seconds=0, overhead_seconds=0) for row in one.history] for one in (state, other)]
    return repr(rows[0]) == repr(rows[1]) and state.weights.tobytes() == other.weights.tobytes()


def models(workers: Workers, clinic: int) -> list[str]:
    """The messages that brought a clinic weights."""
    return [kind for place, kind, weights in workers.down if place == clinic and weights]


def test_a_run_is_the_same_with_one_download_a_round(tmp_path: Path) -> None:
    run_local(server(tmp_path / "whole", rounds=4), build_client_app(trainer_for), NAMES)
    state, workers = spared(tmp_path / "spared", rounds=4)
    assert same(state, load_state(tmp_path / "whole"))
    # All weights move in this training: of each of the five models one download.
    assert [models(workers, clinic) for clinic in range(3)] == [[TRAIN, *4 * [EVALUATE]]] * 3


@pytest.mark.parametrize("kind", [TRAIN, EVALUATE])
def test_a_clinic_that_starts_anew_gets_the_model_in_full(tmp_path: Path, kind: str) -> None:
    run_local(server(tmp_path / "whole", rounds=3), build_client_app(trainer_for), NAMES)
    state, workers = spared(
        tmp_path / "spared", lambda clinic, of, round: (clinic, of, round) == (1, kind, "2"), rounds=3
    )
    assert same(state, load_state(tmp_path / "whole"))
    assert len([one for one in workers.down if one[0] == 1]) == 6 + (kind == TRAIN)
    assert len(models(workers, 1)) == 4 + (kind == TRAIN)


def test_a_run_that_resumes_sends_what_it_cannot_know_in_full(tmp_path: Path) -> None:
    run_local(server(tmp_path / "whole", rounds=4), build_client_app(trainer_for), NAMES)
    spared(tmp_path / "spared", rounds=2)
    state, workers = spared(tmp_path / "spared", rounds=4, resume=True)
    assert same(state, load_state(tmp_path / "whole"))
    assert models(workers, 0) == [TRAIN, EVALUATE, EVALUATE]


def test_secure_sums_bring_each_model_once(tmp_path: Path) -> None:
    clinics = Clinics()
    workers = Workers(clinics.app(), clinics.names)
    state = clinics.run(tmp_path / "spared", SparingGrid(workers), rounds=3)  # type: ignore[arg-type]
    whole = Clinics().run(tmp_path / "whole", rounds=3)
    assert state.weights.tobytes() == whole.weights.tobytes()
    assert [models(workers, clinic) for clinic in range(5)] == [
        [SUMMED["train"], *3 * [SUMMED["evaluate"]]]
    ] * 5
    assert [row.replied for row in state.history] == [5, 5, 5]


def test_what_a_clinic_makes_up_counts_as_no_update(tmp_path: Path) -> None:
    class Liar(Workers):
        def _work(self, message: Message) -> Message:
            reply = super()._work(message)
            if message.metadata.dst_node_id == 1001 and message.metadata.message_type == TRAIN:
                reply.content = RecordDict(
                    {
                        "patch": to_arrays(ranges=np.array([[0, 2**62]]), values=np.zeros(1, np.float32)),
                        "patched": ConfigRecord({"base": "0" * 64, "model": "0" * 64, "parameters": 18}),
                    }
                )
            return reply

    become_server_task()
    workers = Liar(build_client_app(trainer_for), NAMES)
    server(tmp_path, rounds=1, quorum=2)(SparingGrid(workers), Context(1, 1, {}, RecordDict(), {}))
    row = load_state(tmp_path).history[0]
    assert row.replied == 2
    assert row.left_out.startswith("graz: ")
