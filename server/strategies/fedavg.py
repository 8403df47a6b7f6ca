"""FedAvg: the new model is the mean of the clinics' models.

McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized Data,
https://arxiv.org/abs/1602.05629
"""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.server.strategies.strategy import Means, State
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedAvg:
    """Algorithm 1 of the paper."""

    def instructions(self) -> dict[str, float]:
        """Nothing but the model goes to the trainers."""
        return {}

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """Take the mean."""
        return mean, state
