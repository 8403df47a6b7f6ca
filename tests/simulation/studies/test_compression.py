from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.server.rounds.checkpoint import federated_folder
from dermafed.server.rounds.open_exchange import OpenExchange, Traffic, save_exchange
from dermafed.shared.errors import SettingsError
from dermafed.simulation.studies.compression import analyse, effects
from dermafed.simulation.studies.cost import megabytes_a_round
from dermafed.simulation.studies.study_runs import StudyRun
from tests.simulation.studies.test_cost import run


def counted(folder: Path, row: str, seed: int, value: float, sent: int, received: int) -> StudyRun:
    """A run of two rounds, two clinics and a model of 1 MB, of which the second moves twice as much."""
    own = run(folder, row, seed, [10, 10], [1, 1], value)
    traffic = {name: Traffic(turn * sent, turn * received) for turn, name in enumerate(("a", "b"), start=1)}
    save_exchange(federated_folder(own.folder), OpenExchange(traffic=traffic))
    return own


def test_worked_example_of_bytes_and_points(tmp_path: Path) -> None:
    million = 10**6
    runs = [
        counted(tmp_path, "in full", 0, 0.70, 2 * million, 2 * million),
        counted(tmp_path, "in full", 1, 0.74, 2 * million, 2 * million),
        counted(tmp_path, "8 bits", 1, 0.73, million, million // 2),
    ]
    full, few = analyse(runs, tmp_path)
    assert (full["sent"], full["received"], full["of_first"], full["lost"]) == (1.5, 1.5, 1, 0)
    assert full["mean"] == pytest.approx(0.72)
    assert (few["sent"], few["received"]) == (0.75, 0.375)
    assert few["of_first"] == pytest.approx(0.375)
    assert few["of_before"] == pytest.approx(0.375)  # 1.125 MB of 3
    assert few["lost"] == pytest.approx(0.01)  # of the same seed, not of the mean
    assert megabytes_a_round(runs[2]) == pytest.approx(2.25)  # both clinics
    assert (tmp_path / "compression.md").read_text("utf-8").splitlines()[-1].endswith("| 0.730 | +1.0 |")


def test_few_bits_in_secure_sums_are_compared_with_secure_sums(tmp_path: Path) -> None:
    runs = [
        counted(tmp_path, "in full", 0, 0.70, 4, 4),
        counted(tmp_path, "sums", 0, 0.64, 4, 4),
        counted(tmp_path, "sums, 8 bits", 0, 0.63, 2, 1),
    ]
    secure = [
        replace(one, settings=replace(one.settings, aggregation="secure", refit="none")) for one in runs[1:]
    ]
    lines = effects([runs[0], *secure])
    assert [line["lost"] for line in lines] == pytest.approx([0, 0, 0.01])
    assert [line["of_first"] for line in lines] == pytest.approx([1, 1, 3 / 8])


def test_a_run_that_did_not_count_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="count"):
        effects([run(tmp_path, "in full", 0, [10], [1], 0.5)])
