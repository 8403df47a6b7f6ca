"""FedOpt: the clinics' mean change as the gradient of an adaptive optimiser on the server.

Reddi et al. 2021, Adaptive Federated Optimization, algorithm 2, https://arxiv.org/abs/2003.00295
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.server.strategies.fedavg import FedAvg
from dermafed.server.strategies.strategy import Means, State
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedOpt(FedAvg):
    """What FedAdagrad, FedAdam and FedYogi share.

    The second moment starts at 0, as in Flower, where the paper starts at tau**2 or above.

    Attributes:
        learning_rate: eta > 0. A weight moves by about this much a round, so it is far below Flower's 0.1,
            which suits models trained from scratch.
        tau: > 0, added to the root of the second moment.
    """

    learning_rate: float = 0.01
    tau: float = 1e-3

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """w <- w + eta m / (sqrt(v) + tau)."""
        change = mean - weights
        nothing = np.zeros_like(weights)
        first = self.first_moment(state.get("first_moment", nothing), change)
        second = self.second_moment(state.get("second_moment", nothing), np.square(change))
        moved = weights + self.rate(round) * first / (np.sqrt(second) + self.tau)
        memory = {"first_moment": first.astype(np.float32), "second_moment": second.astype(np.float32)}
        return moved, memory

    def rate(self, round: int) -> float:
        """The round's learning rate."""
        return self.learning_rate

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """The new m, from the old one and the mean change."""
        raise NotImplementedError

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """The new v, from the old one and the square of the mean change."""
        raise NotImplementedError
