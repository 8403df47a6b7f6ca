"""Aggregate the clinics' replies one by one: check each, then add it to a mean or a sum.

w = sum_k n_k w_k / sum_k n_k        (McMahan et al. 2017, algorithm 1, https://arxiv.org/abs/1602.05629)
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
from flwr.app import RecordDict
from numpy.typing import NDArray

from dermafed.server.rounds.strategies import Means
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import decode_evaluation, decode_update
from dermafed.shared.training.trainer import FloatVector, Update

_BLOCK = 32_768  # values; the block's sums and temporaries stay in a core's cache
Outcome = TypeVar("Outcome", covariant=True)


def check_update(update: Update, most_images: int) -> None:
    """Refuse implausible values; shape and dtype were checked when the update was decoded.

    Args:
        update: a clinic's decoded update.
        most_images: largest plausible number of training images, and so the largest weight.

    Raises:
        FederationError: its weight in the mean, one of its weights or a metric is not plausible.
    """
    if not 1 <= update.weight <= most_images:
        raise FederationError(f"its update has the weight of {update.weight} images, not 1 to {most_images}")
    if not np.isfinite(update.weights).all():
        raise FederationError("its weights are not all finite numbers")
    for name, value in update.metrics.items():
        if not math.isfinite(value):
            raise FederationError(f"its metric '{name}' is not a finite number")


class StreamingMean:
    """Weighted mean of float32 vectors, one at a time, in two float64 vectors of memory.

    The second vector carries the rounding errors of the first (two-sum, Knuth, The Art of Computer
    Programming 2, 4.2.2), about 106 bits together. A product of a float32 and a count below 2**29 is exact in
    float64, so the sum is exact unless one weight's values span more than 15 decades between clinics: the
    mean does not depend on the order in which the clinics reply.
    """

    def __init__(self, parameters: int) -> None:
        self._sum = np.zeros(parameters)
        self._error = np.zeros(parameters)
        self.weight = 0

    def add(self, weights: FloatVector, weight: int) -> None:
        """Add one clinic's weights, float32 (P,), with their weight in the mean."""
        for start in range(0, weights.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            value = weights[block].astype(np.float64) * weight
            total = self._sum[block] + value
            rest = total - self._sum[block]
            self._error[block] += (self._sum[block] - (total - rest)) + (value - rest)
            self._sum[block] = total
        self.weight += weight

    def result(self) -> NDArray[np.float64]:
        """The mean, float64 (P,)."""
        return (self._sum + self._error) / self.weight


class Collector(Protocol[Outcome]):
    """Combines the replies to one message."""

    def accept(self, content: RecordDict) -> float:
        """Accept one reply.

        Returns:
            The seconds of work that the clinic reports.

        Raises:
            FederationError: the reply is refused; nothing of it was added.
        """
        ...

    def result(self) -> Outcome:
        """The result of the accepted replies, of which there is at least one."""
        ...


class TrainedModels:
    """The mean of the trained models (P,) and of their training losses, with the same weights."""

    def __init__(self, parameters: int, most_images: int) -> None:
        self._parameters = parameters
        self._most_images = most_images
        self._mean = StreamingMean(parameters)
        self._losses: list[float] = []

    def accept(self, content: RecordDict) -> float:
        """Accept an update; see :class:`Collector`."""
        update, seconds = decode_update(content, self._parameters)
        check_update(update, self._most_images)
        self._mean.add(update.weights, update.weight)
        self._losses.append(update.weight * update.metrics.get("loss", math.nan))
        return seconds

    def result(self) -> tuple[Means, float]:
        """The mean model and the mean loss."""
        # fsum is exact, so the order of arrival does not matter; the model's mean is exact in practice.
        return self._mean.result(), math.fsum(self._losses) / self._mean.weight


class Evaluations:
    """The sum of the clinics' evaluations."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._sum: ClinicEvaluation | None = None
        self._losses: list[float] = []

    def accept(self, content: RecordDict) -> float:
        """Accept an evaluation; see :class:`Collector`."""
        evaluation, seconds = decode_evaluation(content, self._classes)
        evaluation.validate(self._classes)
        self._sum = evaluation if self._sum is None else self._sum + evaluation
        self._losses.append(evaluation.loss_sum)
        return seconds

    def result(self) -> ClinicEvaluation:
        """The evaluation of all clinics' images together."""
        if self._sum is None:
            raise FederationError("No clinic has evaluated the model")
        return replace(self._sum, loss_sum=math.fsum(self._losses))
