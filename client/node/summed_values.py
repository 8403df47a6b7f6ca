"""What a clinic puts into a secure sum; whatever does not fit is refused, never clipped.

With noise, it is whole steps of a grid, which add up modulo 2**32: whether they fit must not show.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.client.node.clinic_sums import Summand
from dermafed.shared.compression.coded_change import coder_of
from dermafed.shared.compression.selection import taken
from dermafed.shared.errors import FederationError
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.summed import COUNT_GRID
from dermafed.shared.training.trainer import NoisyTrainer, Trainer

Values = Mapping[str, ArrayLike]


def summed_counts(summand: Summand) -> Values:
    """The training images of each class; with noise, patients."""
    return {"training": summand.counts if summand.noisy_counts is None else summand.noisy_counts()}


def summed_update(trainer: Trainer, asked: Instruction, summand: Summand) -> Values:
    """What a round's training adds to its sum.

    Raises:
        FederationError: see below.
        BudgetSpent: a step with noise would spend too much.
    """
    if summand.summing.has_noise:
        return _gradient(noisy_trainer(trainer), asked, summand)
    return _weighed_change(trainer, asked, summand)


def summed_evaluation(trainer: Trainer, asked: Instruction, summand: Summand) -> Values:
    """The counts of an evaluation.

    Raises:
        BudgetSpent: an evaluation with noise would spend too much.
    """
    if (summing := summand.summing).has_noise:
        cells = noisy_trainer(trainer).summed_confusion(
            asked.weights, asked.round, sharers=summing.sharers, grid=COUNT_GRID
        )
        return {"confusion": cells}
    evaluation = trainer.evaluate(asked.weights, asked.round)
    return {
        "images": [evaluation.images],
        "loss_sum": [evaluation.loss_sum],
        "confusion": evaluation.confusion,
        "histograms": evaluation.histograms,
    }


def _gradient(trainer: NoisyTrainer, asked: Instruction, summand: Summand) -> Values:
    sharers, grid = summand.summing.sharers, summand.summing.gradient_grid
    return {"gradient": trainer.summed_gradient(asked.weights, asked.round, sharers=sharers, grid=grid)}


def noisy_trainer(trainer: Trainer) -> NoisyTrainer:
    """The trainer, if it adds noise to sums.

    Raises:
        FederationError: it does not.
    """
    if not isinstance(trainer, NoisyTrainer):
        raise FederationError("This clinic adds no noise to sums")
    return trainer


def _weighed_change(trainer: Trainer, asked: Instruction, summand: Summand) -> Values:
    """Train, and weigh the change by this clinic's number of training images, or by 1 with groups.

    The weight is no other number, since a server could choose what else it follows from, so that one clinic
    outweighs all others in the sum.

    Raises:
        FederationError: the training has no loss, or changes a weight by more than the plan allows.
    """
    update = trainer.train(asked.weights, asked.round, asked.config)
    if "loss" not in update.metrics:
        raise FederationError("The training has no loss for the secure sum")
    change = np.subtract(update.weights, asked.weights, dtype=np.float64)
    found, most = largest(change), summand.summing.privacy.largest_change
    if not found <= most:  # NaN too
        raise FederationError(
            f"The training changed a weight by {found:g}, more than {most:g}",
            where="largest_change",
            remedy="Nothing was sent; allow more in the plan, or train with a smaller learning rate",
        )
    weight = summand.summing.weight(summand.images)
    values: dict[str, ArrayLike] = {"weight": [weight], "loss": [update.metrics["loss"] * weight]}
    if (selection := asked.selection) is None:
        return {"change": change * weight, **values}
    if not selection.unmoved(asked.weights, update.weights):
        raise FederationError("The training changed a weight that the sum leaves out", where="selection")
    values["change"] = taken(change, selection.full) * weight
    return {**values, **coded_change(asked, taken(change, selection.coded) * weight)}


def coded_change(asked: Instruction, change: NDArray[np.float64]) -> Values:
    """The part of an update that is summed in few bits, if any; rounded by secret random numbers.

    Args:
        asked: what is coded, and how.
        change: of the coded weights, times the clinic's weight: float64 (N,).

    Raises:
        FederationError: a change does not fit.
    """
    selection = asked.selection
    if selection is None or not selection.coded_size:
        return {}
    if not selection.step > 0:
        raise FederationError("A sum in few bits without a step that all have in common", where="compression")
    coder = coder_of(selection, asked.model)
    return {"codes": coder.encode(coder.rotation.forward(change), selection.step, SecretRandom.fresh())}


def largest(values: NDArray[np.float64]) -> float:
    """The largest size of a number, float64 (P,); NaN if one is none."""
    return float(np.maximum(values.max(initial=0.0), -values.min(initial=0.0)))
