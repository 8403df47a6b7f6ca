"""``fl-server export``: the model of a run as a file, and its calibration, if the clinics calibrated it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dermafed.server import cli
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import find_run
from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.first_weights import START_FILE, build, read_first_weights
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.server.rounds.run_calibration import ClinicsCalibration
from dermafed.server.rounds.run_finder import ClinicsFinder
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import finder_file
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import calibration_files, load_calibration
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.protocol.offer import Offer
from tests.commands.small_datasets import command
from tests.commands.test_coordinator import PLAN
from tests.server.example_keys import KEY
from tests.shared.lesion_finder.sample_cells import sums_of
from tests.shared.metrics.calibration.sample_calibration import fitted
from tests.shared.training.tiny import tiny_backbones


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


def test_only_the_calibrated_round_has_a_calibration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "graz.pub").write_text(f"{KEY} someone@graz\n")
    (tmp_path / "plan.toml").write_text(f'{PLAN}backbone = "EfficientNetB7"\n')
    assert command(cli.main, capsys, "init", tmp_path / "alps", "--host", "a.example.org").code == 0
    monkeypatch.chdir(tmp_path / "alps")
    assert command(cli.main, capsys, "enrol", "graz", "../graz.pub").code == 0
    assert command(cli.main, capsys, "train", "../plan.toml").code == 0
    run = find_run(Record(Path("record.db")), "spring")
    folder = Path("runs") / run.folder_name
    folder.mkdir()
    offer = Offer.from_text(run.offer)
    assert offer.calibrate
    build(folder / START_FILE, offer.model, "none", 0)
    start = read_first_weights(folder / START_FILE).weights
    history: tuple[HistoryRow, ...] = ()
    for number, score in ((1, 0.7), (2, 0.6)):
        history = (*history, HistoryRow(number, 1.5, 1.0, 0.5, score, math.nan, 1, "", 3.0, 0.1))
        save_state(folder, RunState(number, start + np.float32(number), {}, history, {}))
    write_history(folder, history)
    last = hashlib.sha256((start + np.float32(2)).tobytes()).hexdigest()
    calibration = Calibration(last, offer.model.classes, fitted().sums, clinics=3)
    ClinicsCalibration(2, calibration, {}, {}).save(folder)
    ClinicsFinder(2, LesionFinder.of(sums_of(24), last), {"graz": 24}, {}).save(folder)
    for round, calibrated in (("last", True), ("best", False)):
        file = Path(f"{round}.keras")
        assert command(cli.main, capsys, "export", "spring", round, file).code == 0
        weights = to_flat(load_model(file)[0])
        found = load_calibration(file, hashlib.sha256(weights.tobytes()).hexdigest())
        assert (found is not None) == calibrated == calibration_files(file)[0].exists()
        assert finder_file(file).exists() == calibrated  # it was fitted to the same model
    read = load_calibration(Path("last.keras"), last)
    assert read is not None
    assert (read.clinics, read.sums.temperature) == (3, calibration.sums.temperature)
