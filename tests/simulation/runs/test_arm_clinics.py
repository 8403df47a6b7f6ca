"""What the engine ``ray`` sends to a worker with each message: paths and settings, and no image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.client.node.trainer_cache import TrainerCache
from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import Splits
from dermafed.simulation.engines.ray import _with_partition_query
from dermafed.simulation.runs.arm_clinics import ClinicTrainers, clinics_app
from dermafed.simulation.runs.arms import Arm
from tests.client.node.test_clinic_trainer import PLAN, records

APP_BYTES, EACH_CLINIC_BYTES = 20_000, 150


@pytest.mark.parametrize("clinics", [2, 100])
def test_what_travels_with_a_message_is_small(tmp_path: Path, clinics: int) -> None:
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    images = records(tmp_path, 9)
    members = tuple(tmp_path / f"clinic-{number}" for number in range(clinics))
    write_clinic_split(members[0], Splits(images[:6], images[6:8], images[8:]))
    plan = replace(PLAN, class_counts=(2, 2, 2))
    arm = Arm("federated", tmp_path / "arm", members, members, plan, "fedavg", "ray", "none")
    app = _with_partition_query(clinics_app(arm, TrainerCache(ClinicTrainers(arm))))
    sent = len(cloudpickle.dumps(app))
    assert sent < APP_BYTES + EACH_CLINIC_BYTES * clinics
