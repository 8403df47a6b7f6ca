"""What a clinic puts into a secure sum; whatever does not fit is refused, never clipped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from dermafed.client.node.clinic_sums import Summand
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.training.trainer import Trainer


def summed_update(trainer: Trainer, asked: Instruction, summand: Summand) -> Mapping[str, ArrayLike]:
    """Train, and weigh the change by this clinic's number of training images, or by 1 with groups.

    The weight is no other number, since a server could choose what else it follows from, so that one clinic
    outweighs all others in the sum.

    Raises:
        FederationError: the training has no loss, or changes a weight by more than the plan allows.
    """
    update = trainer.train(asked.weights, asked.round, asked.config)
    if "loss" not in update.metrics:
        raise FederationError("The training has no loss for the secure sum")
    change, most = update.weights.astype(np.float64) - asked.weights, summand.summing.privacy.largest_change
    found = float(np.abs(change).max(initial=0.0))
    if not found <= most:  # NaN too
        raise FederationError(
            f"The training changed a weight by {found:g}, more than {most:g}",
            where="largest_change",
            remedy="Nothing was sent; allow more in the plan, or train with a smaller learning rate",
        )
    weight = summand.summing.weight(summand.images)
    return {"change": change * weight, "weight": [weight], "loss": [update.metrics["loss"] * weight]}


def summed_evaluation(evaluation: ClinicEvaluation) -> Mapping[str, ArrayLike]:
    """The counts of an evaluation."""
    return {
        "images": [evaluation.images],
        "loss_sum": [evaluation.loss_sum],
        "confusion": evaluation.confusion,
        "histograms": evaluation.histograms,
    }
