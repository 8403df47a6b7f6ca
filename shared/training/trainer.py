"""One clinic's side of a run, as the federation sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dermafed.shared.metrics.evaluation import ClinicEvaluation

FloatVector = NDArray[np.float32]


@dataclass(frozen=True)
class Update:
    """What a clinic's training gives back.

    Attributes:
        weights: the trained model, float32 (P,).
        weight: of the update in the mean: its training images, each counted as much as the recipe's
            balance lets its class count over all clinics, rounded to 1 or more.
        metrics: what the training measured, for example ``loss``.
    """

    weights: FloatVector
    weight: int
    metrics: dict[str, float]


class Trainer(Protocol):
    """One clinic's side of a run: trains and judges a model given as one flat float32 vector (P,)."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """Train from ``weights`` on the clinic's training images."""
        ...

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """Judge ``weights`` on the clinic's validation images."""
        ...
