"""FedAvgM: FedAvg with momentum on the server.

Hsu et al. 2019, Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification, https://arxiv.org/abs/1909.06335
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.server.strategies.fedavg import FedAvg
from dermafed.server.strategies.strategy import Means, State
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedAvgM(FedAvg):
    """Section 4.3 of the paper: v <- beta v + (mean - w), w <- w + learning_rate v.

    Attributes:
        learning_rate: of the server, > 0.
        momentum: beta in [0, 1).
    """

    learning_rate: float = 1.0
    momentum: float = 0.9

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """Move along the decaying sum of the rounds' changes."""
        velocity = self.momentum * state.get("velocity", np.zeros_like(weights)) + (mean - weights)
        return weights + self.learning_rate * velocity, {"velocity": velocity.astype(np.float32)}
