"""A clinic goes on alone from the federation's last model, to one of its own.

The simplest way to personal models (Yu, Bagdasaryan and Shmatikov 2020, arXiv:2002.04758).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.trainer import FloatVector


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
