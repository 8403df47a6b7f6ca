"""TensorBoard's files of a run: read by TensorFlow's own reader, each round once."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from dermafed.server.coordinator import coordinator
from dermafed.server.record.runs_table import Status
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.event_files import tensorboard_writer
from dermafed.server.rounds.history import round_text
from tests.server.coordinator.runs_in_process import Server


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    """Steps and values of one metric."""
    files = sorted(folder.glob("events.out.tfevents.*"))
    events = [event for file in files for event in tf.compat.v1.train.summary_iterator(str(file))]
    values = [(event.step, value) for event in events for value in event.summary.value]
    return [(step, value.simple_value) for step, value in values if value.tag == name]


def test_each_round_is_charted_once_however_often_the_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "TICK_SECONDS", 0.01)
    served = Server(tmp_path, tensorboard=tmp_path / "charts")
    run = served.ask("spring", rounds=3)
    with served.running():
        served.await_status("spring", Status.FINISHED)
    history = load_state(served.runs_folder(run)).history
    charts = tmp_path / "charts" / run.folder_name
    losses = [(row.round, pytest.approx(row.validation_loss)) for row in history]
    assert len(losses) == 3
    assert scalars(charts, "validation_loss") == losses
    with tensorboard_writer(charts, history[:2]) as chart:
        chart(history[2])
    assert scalars(charts, "validation_loss") == losses
    assert not scalars(charts, "left_out")


def test_a_round_in_words() -> None:
    assert round_text(32, 32) == "round 32 of 32"
    assert round_text(33, 32) == "new last layer after 32 rounds"
