"""Progress without a terminal, and a result whose table is whole in a pipe."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.simulation.runs.progress import LineWatcher, print_result, watching
from tests.shared.report.run import result


def arm(folder: Path, name: str, rounds: int) -> Any:
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(name=name, folder=folder, plan=SimpleNamespace(rounds=rounds))


def row(round: int, score: float) -> HistoryRow:
    return HistoryRow(round, 1.0, 1.0, 0.5, score, math.nan, 2, "", 3.0, 0.1)


def test_without_a_terminal_each_stage_and_each_round_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = [arm(tmp_path / "a", "federated", 2), arm(tmp_path / "b", "local:St%20Anna", 2)]
    with watching() as watcher:
        assert isinstance(watcher, LineWatcher)
        for done in range(3):
            watcher.stage("Preparing images")(done, 3)
        watcher.training(arms)
        rows = [row(1, 0.5), row(2, 0.625), row(3, 0.7)]
        for count in (1, 1, 3):
            write_history(arms[0].folder, rows[:count])
            watcher.training(arms)
        write_history(arms[1].folder, rows[:1])
        watcher.training(arms)
    assert capsys.readouterr().err.splitlines() == [
        "Preparing images",
        "Federated training, round 1 of 2: balanced accuracy 0.500",
        "Federated training, round 2 of 2: balanced accuracy 0.625",
        "Federated training, new last layer after 2 rounds: balanced accuracy 0.700",
        "St Anna alone, round 1 of 2: balanced accuracy 0.500",
    ]


def test_in_a_pipe_the_table_is_whole_and_names_its_baseline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "university hospital of dermatology and venereology, outpatient clinic"
    content = result({long: (30, 60, 20), "graz": (20, 30, 40), "[b]linz": (30, 30, 30)})
    content["settings"] = content["settings"] | {"data": "synthetic"}
    print_result(content)
    shown = capsys.readouterr().out
    for words in (long, "[b]linz", "Balanced accuracy", "Synthetic test images"):
        assert words in shown
    assert "…" not in shown
    assert "Guessing reaches 0.333 balanced accuracy." in shown
