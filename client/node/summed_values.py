"""What a clinic puts into a secure sum; whatever does not fit is refused, never clipped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from dermafed.client.node.clinic_sums import Summand
from dermafed.shared.compression.coded_change import change_between, coder_of
from dermafed.shared.compression.selection import taken
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.training.trainer import FloatVector, Trainer, Update


def summed_update(trainer: Trainer, asked: Instruction, summand: Summand) -> Mapping[str, ArrayLike]:
    """Train, and weigh the change by this clinic's number of training images.

    The weight is no other number, since a server could choose what else it follows from, so that one clinic
    outweighs all others in the sum.

    Raises:
        FederationError: the training has no loss, or changes a weight by more than the plan allows.
    """
    update = trainer.train(asked.weights, asked.round, asked.config)
    if "loss" not in update.metrics:
        raise FederationError("The training has no loss for the secure sum")
    found, most = largest_change(asked.weights, update.weights), summand.summing.privacy.largest_change
    if not found <= most:  # NaN too
        raise FederationError(
            f"The training changed a weight by {found:g}, more than {most:g}",
            where="largest_change",
            remedy="Nothing was sent; allow more in the plan, or train with a smaller learning rate",
        )
    images = summand.images
    values: dict[str, ArrayLike] = {"weight": [images], "loss": [update.metrics["loss"] * images]}
    if (selection := asked.selection) is None:
        return {"change": (update.weights.astype(np.float64) - asked.weights) * images, **values}
    if not selection.unmoved(asked.weights, update.weights):
        raise FederationError("The training changed a weight that the sum leaves out", where="selection")
    taken_of = [taken(each, selection.full).astype(np.float64) for each in (asked.weights, update.weights)]
    values["change"] = (taken_of[1] - taken_of[0]) * images
    return {**values, **coded_update(asked, update, images)}


def coded_update(asked: Instruction, update: Update, images: int) -> Mapping[str, ArrayLike]:
    """The part of an update that is summed in few bits, if any; rounded by secret random numbers.

    Raises:
        FederationError: a change does not fit.
    """
    selection = asked.selection
    if selection is None or not selection.coded_size:
        return {}
    if not selection.step > 0:
        raise FederationError("A sum in few bits without a step that all have in common", where="compression")
    coder = coder_of(selection, asked.model)
    rotated = coder.rotation.forward(change_between(asked.weights, update.weights, selection) * images)
    return {"codes": coder.encode(rotated, selection.step, SecretRandom.fresh())}


def largest_change(before: FloatVector, after: FloatVector) -> float:
    """The largest change of a weight; NaN if one is none."""
    return float(np.abs(after.astype(np.float64) - before).max(initial=0.0))


def summed_evaluation(evaluation: ClinicEvaluation) -> Mapping[str, ArrayLike]:
    """The counts of an evaluation."""
    return {
        "images": [evaluation.images],
        "loss_sum": [evaluation.loss_sum],
        "confusion": evaluation.confusion,
        "histograms": evaluation.histograms,
    }
