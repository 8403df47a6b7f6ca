"""A run's rounds as lines that are added: what a sudden end, a full disk and damage leave of them."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.server.rounds.checkpoint import RunState, load_best, load_state, save_state
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow, add_to_history, best_round, read_history, write_history
from dermafed.server.rounds.history_lines import LINES_FILE, row_text
from dermafed.shared.errors import FederationError, StorageError

SCORES = (0.5, 0.7, 0.6, 0.4, 0.8, 0.3)
START = RunState(0, np.zeros(3, np.float32), {}, (), {"seed": 1})


def after(state: RunState, score: float | None = None) -> RunState:
    """The state after one more round."""
    number = state.round + 1
    score = SCORES[(number - 1) % len(SCORES)] if score is None else score
    clinics = tuple(ClinicRound(name, share=0.5, balanced_accuracy=score) for name in ("graz", "linz"))
    row = HistoryRow(number, 1.5, 1.0, 0.5, score, float("nan"), 2, "", 3.0, 0.1, clinics)
    return replace(state, round=number, weights=state.weights + 1, history=(*state.history, row))


def saved(folder: Path, rounds: int) -> RunState:
    """A run of so many rounds, on disk."""
    state = START
    save_state(folder, state)
    for _ in range(rounds):
        save_state(folder, state := after(state))
    return state


def same(found: RunState, state: RunState) -> bool:
    """As texts, in which NaN equals NaN."""
    return str(found) == str(state)


def lines(folder: Path) -> list[str]:
    return (folder / LINES_FILE).read_text().splitlines()


def test_a_line_for_each_round(tmp_path: Path) -> None:
    state = saved(tmp_path, 4)
    assert lines(tmp_path) == [row_text(row) for row in state.history]
    assert json.loads(lines(tmp_path)[2])["round"] == 3


def test_each_checkpoint_has_the_rounds_up_to_its_own(tmp_path: Path) -> None:
    state = saved(tmp_path, 4)
    for number in (2, 3, 4):  # the best, and the last two
        found = load_state(tmp_path, number)
        assert str(found.history) == str(state.history[:number])
        assert found.weights.tolist() == [number] * 3
    assert load_best(tmp_path).round == 2


@pytest.mark.parametrize("part", [1.0, 0.5, 0.01], ids=["line", "half", "a byte or two"])
def test_a_line_without_its_checkpoint_is_no_round(tmp_path: Path, part: float) -> None:
    state = saved(tmp_path, 2)
    extra = f"{row_text(after(state, 0.9).history[-1])}\n".encode()
    with (tmp_path / LINES_FILE).open("ab") as file:
        file.write(extra[: round(len(extra) * part)])
    assert same(load_state(tmp_path), state)
    save_state(tmp_path, state := after(state))
    assert lines(tmp_path) == [row_text(row) for row in state.history]
    assert same(load_state(tmp_path), state)


def test_a_sudden_end_between_the_line_and_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = saved(tmp_path, 2)

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save_state(tmp_path, after(state, 0.9))
    assert len(lines(tmp_path)) == 3
    assert same(load_state(tmp_path), state)
    save_state(tmp_path, state := after(state))
    assert lines(tmp_path) == [row_text(row) for row in state.history]


def test_the_line_is_on_the_disk_before_the_checkpoint_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, events = saved(tmp_path, 2), []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        events.append(target.name)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    save_state(tmp_path, after(state))
    assert events == [".jsonl", ".part", "round-0003.npz"]


def test_a_full_disk_in_a_line_loses_no_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = saved(tmp_path, 2)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="Free some disk space"):
            save_state(tmp_path, after(state, 0.9))
    assert same(load_state(tmp_path), state)
    save_state(tmp_path, state := after(state))
    assert same(load_state(tmp_path), state)


def cut(data: bytes) -> bytes:
    return data[:-5]


def flipped_at_the_start(data: bytes) -> bytes:
    return data.replace(b"0.7", b"0.9", 1)


def flipped_at_the_end(data: bytes) -> bytes:
    return data[::-1].replace(b"3.0"[::-1], b"4.0"[::-1], 1)[::-1]


@pytest.mark.parametrize("damage", [cut, flipped_at_the_end])
def test_a_damaged_last_line_falls_back_to_the_round_before(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    before = saved(tmp_path, 4)
    save_state(tmp_path, after(before))
    path = tmp_path / LINES_FILE
    path.write_bytes(damage(path.read_bytes()))
    assert same(load_state(tmp_path), before)
    assert "round-0005.npz cannot be read: The run's history is damaged or incomplete" in caplog.text


@pytest.mark.parametrize("damage", [flipped_at_the_start, lambda _: b"", None], ids=["flip", "empty", "gone"])
def test_a_run_without_its_first_lines_is_refused_by_name(
    tmp_path: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    saved(tmp_path, 4)
    path = tmp_path / LINES_FILE
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    with pytest.raises(FederationError, match="damaged or incomplete") as caught:
        load_state(tmp_path)
    assert caught.value.where == str(path)
    assert "backup" in str(caught.value)


def test_a_file_that_is_lost_in_mid_run_is_written_anew(tmp_path: Path) -> None:
    state = saved(tmp_path, 3)
    (tmp_path / LINES_FILE).unlink()
    save_state(tmp_path, state := after(state))
    assert same(load_state(tmp_path), state)


def save_as_before(folder: Path, state: RunState) -> None:
    """As versions up to 0.1.0 did: the whole history in the file of the state."""
    rows = [json.loads(row_text(row)) for row in state.history]
    text = json.dumps({"round": state.round, "history": rows, "settings": dict(state.settings)})
    file = io.BytesIO()
    np.savez(file, record=np.frombuffer(text.encode(), np.uint8), weights=state.weights)
    (folder / f"round-{state.round:04d}.npz").write_bytes(file.getvalue())


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    state = START
    for number in (1, 2, 3):
        state = after(state)
        if number > 1:
            save_as_before(tmp_path, state)
    assert same(load_state(tmp_path), state)
    save_state(tmp_path, state := after(load_state(tmp_path)))
    assert lines(tmp_path) == [row_text(row) for row in state.history]
    assert same(load_state(tmp_path), state)
    assert load_best(tmp_path).weights.tolist() == [2] * 3  # whose file is still of the earlier version
    save_state(tmp_path, state := after(load_state(tmp_path)))
    assert same(load_state(tmp_path), state)


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["round", "line only", "part of a line", "lost checkpoint", "earlier version"]),
            st.sampled_from([0.2, 0.4, 0.6, 0.8, float("nan")]),
        ),
        max_size=12,
    )
)
def test_whatever_happens_the_state_is_that_of_the_last_checkpoint(
    events: Sequence[tuple[str, float]],
) -> None:
    with TemporaryDirectory() as name:
        folder, states = Path(name), [START]
        save_state(folder, START)
        for event, score in events:
            state = after(states[-1], score)
            path = folder / LINES_FILE
            if event == "round":
                save_state(folder, state)
                states.append(state)
            elif event == "lost checkpoint" and len(states) > 1:
                last, before = (folder / f"round-{one.round:04d}.npz" for one in (states[-1], states[-2]))
                if before.exists():
                    last.unlink()
                    states.pop()
            elif event == "earlier version" and len(states) > 1:
                save_as_before(folder, states[-1])
            else:
                text = f"{row_text(state.history[-1])}\n"
                with path.open("a") as file:
                    file.write(text if event == "line only" else text[: int(score * 100) if score > 0 else 1])
            found = load_state(folder)
            assert same(found, states[-1])
            assert load_best(folder).round == best_round(states[-1].history)
            states[-1] = found


def test_the_table_is_that_of_a_run_that_never_stopped(tmp_path: Path) -> None:
    state, whole, broken = START, tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
        write_history(folder, ())
    for number in range(1, 5):
        state = after(state)
        if number == 3:
            row = replace(state.history[-1], rolled_back='it was "worse", by 0.2', left_out="wels: no reply")
            state = replace(state, history=(*state.history[:-1], row))
        add_to_history(whole, state.history)
        if number == 3:
            write_history(broken, state.history)  # as a run that is resumed does
        else:
            add_to_history(broken, state.history)
        assert (whole / "history.csv").read_bytes() == (broken / "history.csv").read_bytes()
        assert str(read_history(whole)) == str(list(state.history))
    write_history(broken, state.history)
    assert (whole / "history.csv").read_bytes() == (broken / "history.csv").read_bytes()


def test_a_row_that_was_not_written_to_its_end_is_not_read(tmp_path: Path) -> None:
    state = after(after(START))
    write_history(tmp_path, state.history)
    path = tmp_path / "history.csv"
    data = path.read_bytes()
    for size in range(len(data) - len(data.splitlines(keepends=True)[-1]), len(data)):
        path.write_bytes(data[:size])
        assert str(read_history(tmp_path)) == str([state.history[0]])


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not count the bytes that are written")
def test_a_round_costs_no_more_bytes_than_the_rounds_before_it(tmp_path: Path) -> None:
    def written() -> int:
        text = Path("/proc/self/io").read_text()
        return int(text.partition("wchar: ")[2].split()[0])

    state, costs = saved(tmp_path, 1), []
    write_history(tmp_path, state.history)
    for _ in range(60):
        state, before = after(state), written()
        save_state(tmp_path, state)
        add_to_history(tmp_path, state.history)
        costs.append(written() - before)
    kept = len(row_text(state.history[-1]))
    assert kept < costs[0] < 10 * kept
    assert costs[-1] < costs[0] + kept  # and not + 60 * kept
