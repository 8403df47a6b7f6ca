"""A clinic goes on alone from the federation's last model, to one of its own.

The simplest way to personal models (Yu, Bagdasaryan and Shmatikov 2020, arXiv:2002.04758).
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.runs.run_settings import RunSettings


def check_tuning(settings: RunSettings) -> None:
    """Refuses an impossible number of passes, and what does not go with tuning.

    Raises:
        SettingsError: says what is wrong.
    """
    if type(settings.tune) not in (int, float) or not 0 <= settings.tune < math.inf:
        raise SettingsError(f"{settings.tune} is no number of passes", where="--tune", remedy="Use 0 or more")
    if settings.tune and settings.batch_norm == "local":
        remedy = "Choose another --batch-norm: tuning gives each clinic its own anyway"
        raise SettingsError("--tune does not go with --batch-norm local", where="--tune", remedy=remedy)


def tuned_model(site: Path, plan: Plan, state: Path, weights: FloatVector, passes: float) -> FloatVector:
    """A clinic's own model: a run of one round, with the recipe's learning rates, on its images alone.

    Args:
        site: the clinic's folder.
        plan: of the federation.
        state: where the clinic keeps what it does not share.
        weights: the federation's last, float32 (P,).
        passes: over the clinic's training images.
    """
    # Here, so that reading a run's settings never loads TensorFlow.
    from dermafed.client.node.clinic_trainer import build_clinic_trainer

    alone = replace(plan, rounds=1, recipe=replace(plan.recipe, epochs=passes, steps=None))
    return build_clinic_trainer(site, alone, state).train(weights, 1, {}).weights
