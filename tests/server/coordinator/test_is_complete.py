"""When a run has nothing left to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_execution import is_complete
from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.run_audit import MODEL_AUDIT_FILE
from dermafed.server.rounds.run_calibration import CALIBRATION_FILE
from dermafed.server.rounds.run_finder import LESION_FINDER_FILE
from dermafed.shared.training.trainer import FloatVector

WEIGHTS = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("refit", "round", "memory", "complete"),
    [
        ("none", 1, {}, False),
        ("none", 2, {}, True),
        ("ridge", 2, {}, False),
        ("ridge", 3, {"refit": np.ones(1, np.float32)}, True),
        ("logistic", 2, {"refit": np.zeros(1, np.float32)}, True),  # patience had ended it after round 1
    ],
)
def test_the_last_layer_anew_is_part_of_the_run(
    tmp_path: Path, refit: str, round: int, memory: dict[str, FloatVector], complete: bool
) -> None:
    plan = parse_plan(f'name = "one"\nrounds = 2\nrefit = "{refit}"\n', tmp_path / "plan.toml")
    assert not is_complete(tmp_path, plan, plan.round_rules(2))
    save_state(tmp_path, RunState(round, WEIGHTS, memory, (), {}))
    assert not is_complete(tmp_path, plan, plan.round_rules(2))
    (tmp_path / CALIBRATION_FILE).write_text("{}")
    assert is_complete(tmp_path, plan, plan.round_rules(2)) == complete


@pytest.mark.parametrize(
    ("key", "file"), [("lesion_finder", LESION_FINDER_FILE), ("audit_model", MODEL_AUDIT_FILE)]
)
def test_so_is_a_lesion_finder_or_an_audit_that_the_plan_asks_for(
    tmp_path: Path, key: str, file: str
) -> None:
    plan = parse_plan(f'name = "one"\nrounds = 2\nrefit = "none"\n{key} = true\n', tmp_path / "plan.toml")
    save_state(tmp_path, RunState(2, WEIGHTS, {}, (), {}))
    (tmp_path / CALIBRATION_FILE).write_text("{}")
    assert not is_complete(tmp_path, plan, plan.round_rules(2))
    (tmp_path / file).write_text("{}")
    assert is_complete(tmp_path, plan, plan.round_rules(2))
