"""A clinic's part of a run, as the federation sees it: train, evaluate, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dermafed.shared.metrics.evaluation import ClinicEvaluation
    from dermafed.shared.training.exact_head.head_sums import HeadSums
    from dermafed.shared.training.exact_head.ridge import LinearHead
    from dermafed.shared.training.exact_head.slope_sums import SlopeSums

FloatVector = NDArray[np.float32]


@dataclass(frozen=True)
class Update:
    """The result of a clinic's training in a round.

    Attributes:
        weights: the trained model, float32 (P,).
        weight: weight of the update in the mean: the number of training images, each counted as the
            recipe's balance counts its class over all clinics, rounded to 1 or more.
        metrics: measurements of the training, for example ``loss``.
    """

    weights: FloatVector
    weight: int
    metrics: dict[str, float]


class Trainer(Protocol):
    """Trains and evaluates a model, given as one flat float32 vector (P,), on one clinic's images."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """Train from ``weights`` on the clinic's training images."""
        ...

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """Evaluate ``weights`` on the clinic's validation images."""
        ...


@runtime_checkable
class HeadTrainer(Protocol):
    """A trainer that can also sum up features, for the exact head."""

    def head_sums(self, weights: FloatVector, round: int) -> HeadSums:
        """Sum up the features that ``weights`` give, and the classes, of the clinic's training images."""
        ...

    def head_slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        """Sum up the loss of these images by a head on these features, and its slopes."""
        ...


@runtime_checkable
class NoisyTrainer(Protocol):
    """A trainer that can also give its part of sums with noise, in whole steps of a grid."""

    def summed_gradient(
        self, weights: FloatVector, round: int, *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """Sum up the last layer's gradients of a sample of patients, with a part of the noise."""
        ...

    def summed_confusion(
        self, weights: FloatVector, round: int, *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """Count the validation patients by true and predicted class, with a part of the noise."""
        ...
