"""The states of a run on disk: what keeping one more round costs, and files of earlier versions."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import RunState, load_state, save_state
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow, read_history, write_history

CLINICS = 4


def row(number: int) -> HistoryRow:
    parts = [
        ClinicRound(f"clinic é{one}", share=0.25, norm=float(number), note='a "note"')
        for one in range(CLINICS)
    ]
    return HistoryRow(number, 0.5, math.nan, 0.7, 0.6, math.nan, CLINICS, "", 2.0, 1.0, tuple(parts))


def states(rounds: int) -> Iterator[RunState]:
    state = RunState(
        0, np.arange(3, dtype=np.float32), {"moment": np.ones(2, np.float32)}, (), {"rounds": rounds}
    )
    for number in range(1, rounds + 1):
        yield (state := replace(state, round=number, history=(*state.history, row(number))))


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    for state in states(3):
        save_state(tmp_path, state)
    found = load_state(tmp_path)
    assert (found.round, found.settings) == (3, {"rounds": 3})
    assert found.weights.tolist() == [0, 1, 2]
    assert found.memory["moment"].tolist() == [1, 1]
    assert list(map(str, found.history)) == [str(row(number)) for number in (1, 2, 3)]  # NaN is not NaN


def test_a_clinics_part_is_written_once_however_many_rounds_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    before = ClinicRound.to_dict
    monkeypatch.setattr(ClinicRound, "to_dict", lambda self: calls.append(self) or before(self))
    for state in states(10):
        save_state(tmp_path, state)
        write_history(tmp_path, state.history)
    assert len(calls) == 10 * CLINICS  # not 4 + 8 + ... + 40
    assert list(map(str, read_history(tmp_path))) == list(map(str, load_state(tmp_path).history))


def test_a_state_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    history = [{name: value for name, value in asdict(row(1)).items() if name != "rolled_back"}]
    record = json.dumps({"round": 1, "history": history, "settings": {}})
    file = io.BytesIO()
    np.savez(file, record=np.array(record), weights=np.zeros(2, np.float32))
    (tmp_path / "round-0001.npz").write_bytes(file.getvalue())
    assert str(load_state(tmp_path).history[0]) == str(row(1))


def test_the_record_takes_a_byte_a_character(tmp_path: Path) -> None:
    (state,) = states(1)
    save_state(tmp_path, state)
    with np.load(tmp_path / "round-0001.npz") as file:
        assert file["record"].nbytes < 2 * len(json.dumps(asdict(row(1))))
