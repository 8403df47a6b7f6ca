"""``fl-server`` on the folder of a run: its rounds, and the models that it saved."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dermafed.server import cli
from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HISTORY_FILE, HistoryRow, read_history, write_history
from dermafed.shared.errors import SettingsError
from tests.commands.small_datasets import command

SCORES = (0.4, 0.7, 0.6, 0.5)  # of rounds 1 to 4 on validation


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of four rounds, best after the second."""
    folder = tmp_path / "run" / "arms" / "federated"
    folder.mkdir(parents=True)
    history: tuple[HistoryRow, ...] = ()
    save_state(folder, RunState(0, np.zeros(10, np.float32), {}, (), {}))
    for number, score in enumerate(SCORES, start=1):
        row = HistoryRow(number, 1.5, 1.0, 0.5, score, math.nan, 2, "", 3.0, 0.1)
        history = (*history, replace(row, left_out="north: no reply") if number == 3 else row)
        save_state(folder, RunState(number, np.full(10, number, np.float32), {}, history, {}))
    write_history(folder, history)
    return tmp_path / "run"


@pytest.mark.parametrize("at", ["", "arms/federated"])
def test_history_gives_every_round_of_a_run_or_an_arm(
    run: Path, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = command(cli.main, capsys, "history", run / at, "--json")
    answer = json.loads(done.out)
    assert (done.code, done.err, answer["best_round"]) == (0, "", 2)
    assert [row["validation_balanced_accuracy"] for row in answer["rounds"]] == list(SCORES)
    assert answer["rounds"][2]["left_out"] == "north: no reply"
    assert answer["rounds"][0]["validation_auc"] is None


def test_history_as_a_table_marks_the_best_and_names_who_was_left_out(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = command(cli.main, capsys, "history", run).out.splitlines()
    assert "0.700" in next(line for line in lines if "2 best" in line)
    assert "north: no reply" in next(line for line in lines if "│ 3" in line or "3 │" in line)


def test_the_history_reads_back_what_was_written(run: Path) -> None:
    rows = read_history(run / "arms" / "federated")
    assert [row.round for row in rows] == [1, 2, 3, 4]
    assert math.isnan(rows[0].validation_auc)
    assert rows[2].left_out == "north: no reply"


def test_the_history_of_a_thousand_clinics_reads_back(tmp_path: Path) -> None:
    clinics = tuple(ClinicRound(f"clinic{one:04d}", 0.001, 1.23456789, 1.0, 0.5, 0.7) for one in range(1000))
    row = HistoryRow(1, 1.5, 1.0, 0.5, 0.6, 0.7, 1000, "", 3.0, 0.1, clinics)
    write_history(tmp_path, [row])
    limit = csv.field_size_limit()
    assert len(row.clinics_text) > limit  # what Python's reader of CSV takes unless told otherwise
    assert repr(read_history(tmp_path)) == repr([row])
    (tmp_path / HISTORY_FILE).write_text("no history\n1\n")
    with pytest.raises(SettingsError):
        read_history(tmp_path)
    assert csv.field_size_limit() == limit, "other files are read as before"


def test_models_names_the_last_and_the_best(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(command(cli.main, capsys, "models", run, "--json").out)
    assert [(model["round"], model["roles"]) for model in answer["models"]] == [
        (2, ["best"]),
        (3, []),
        (4, ["last"]),
    ]
    assert all(Path(model["path"]).stat().st_size == model["size"] for model in answer["models"])
    assert "best" in command(cli.main, capsys, "models", run).out


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("history", "models"):
        done = command(cli.main, capsys, name, tmp_path)
        assert (done.code, done.out) == (2, "")
        assert f"There is no federated run ({tmp_path})" in done.err


@pytest.mark.parametrize(("old", "new"), [("3,1.5", "three,1.5"), ("train_loss", "loss")])
def test_a_damaged_history_is_named_with_its_row(
    run: Path, old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "arms" / "federated" / "history.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    done = command(cli.main, capsys, "history", run)
    assert done.code == 2
    assert f"history.csv, row {4 if old == '3,1.5' else 2}" in done.err


def test_damaged_models_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (run / "arms" / "federated").glob("round-*.npz"):
        path.write_bytes(b"")
    done = command(cli.main, capsys, "models", run)
    assert (done.code, done.out) == (1, "")
    assert "cannot be read" in done.err


def test_showing_a_run_loads_no_tensorflow() -> None:
    code = "import sys, dermafed.server.cli; assert not {'tensorflow', 'keras', 'flwr'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
