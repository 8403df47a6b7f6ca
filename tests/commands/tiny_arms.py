"""Arms of the tiny network, in processes that know it, for what no architecture changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dermafed.simulation.runs.arms import Arm, run_arm
from tests.shared.training.tiny import tiny_backbones

OPTIONS = ("--backbone", "EfficientNetB7", "--features", "pooled", "--frozen-blocks", "0")


@contextmanager
def tiny_arms() -> Iterator[None]:
    """Lets B7 be the tiny network, in this process and in those of arms."""
    with pytest.MonkeyPatch.context() as patch, tiny_backbones():
        for module in ("runs.run", "studies.study_runs"):  # which the arms' processes need not import
            patch.setattr(f"dermafed.simulation.{module}.run_arm", run_tiny_arm)
        yield


def run_tiny_arm(arm: Arm) -> None:
    """What an arm's process calls."""
    with tiny_backbones():
        run_arm(arm)
