"""A clinic that wants the calibration of the model for itself, or to end the run by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.run_calibration import load_run_calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.protocol.messages import Instruction
from tests.attacks.hostile_clinic import HOSTILE, MEMBERS, run
from tests.server.rounds.test_run_calibration import CLASSES, sums_of
from tests.server.small_clinics import trainer_for


def many(sums: CalibrationSums, asked: Instruction) -> CalibrationSums:
    """A hundred thousand images, all of them sure and wrong."""
    labels = np.zeros(100_000, np.int64)
    return CalibrationSums.of(
        np.tile([0.0, 30.0, 0.0], (labels.size, 1)), labels, asked.config["temperature"]
    )


def endless(sums: CalibrationSums, asked: Instruction) -> CalibrationSums:
    return replace(sums, losses=1e308 / TEMPERATURES * TEMPERATURES[0])


class Calibrator:
    def __init__(self, clinic: int, lie: Any) -> None:
        self.clinic, self.lie = clinic, lie

    def sums(self, asked: Instruction) -> CalibrationSums:
        sums = sums_of(self.clinic, asked)
        lied: CalibrationSums = self.lie(sums, asked) if self.clinic == HOSTILE and self.lie else sums
        return lied

    def save(self, calibration: object) -> None:
        """Nothing is kept."""


def calibrated(folder: Path, lie: Any, **options: Any) -> float:
    def calibrator_for(context: Context) -> Calibrator:
        return Calibrator(int(context.node_config["partition-id"]), lie)

    app = build_client_app(trainer_for, calibrator_for=calibrator_for)  # type: ignore[arg-type]
    run(folder, app, calibrate=CLASSES, **options)
    found = load_run_calibration(folder)
    assert found is not None
    return float(found.sums.temperature)


@pytest.mark.parametrize("lie", [many, endless])
def test_no_clinic_decides_how_the_model_is_calibrated(
    tmp_path: Path, lie: Any, caplog: pytest.LogCaptureFixture
) -> None:
    honest = calibrated(tmp_path / "honest", None)
    attacked = calibrated(tmp_path / "attacked", lie)
    assert attacked == pytest.approx(honest, rel=0.5)
    assert "query.calibrate: left out graz: " in caplog.text
    if lie is many:
        assert f"more than the {MEMBERS['graz'].images} that it told" in caplog.text
        assert calibrated(tmp_path / "open", lie, members=None) == TEMPERATURES[-1]
