"""FedAdam: Reddi et al. 2021, algorithm 2, https://arxiv.org/abs/2003.00295"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dermafed.server.strategies.fedopt import FedOpt
from dermafed.server.strategies.strategy import Means
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedAdam(FedOpt):
    """m <- beta_1 m + (1 - beta_1) change, v <- beta_2 v + (1 - beta_2) change**2.

    Attributes:
        beta_1: in [0, 1).
        beta_2: in [0, 1).
    """

    beta_1: float = 0.9
    beta_2: float = 0.99

    def rate(self, round: int) -> float:
        """Bias-corrected (Kingma and Ba 2015, section 2), counting rounds from 2 as Flower does."""
        return (
            self.learning_rate * math.sqrt(1 - self.beta_2 ** (round + 1)) / (1 - self.beta_1 ** (round + 1))
        )

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """Decaying mean of the changes."""
        return self.beta_1 * moment + (1 - self.beta_1) * change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """Decaying mean of the squares."""
        return self.beta_2 * moment + (1 - self.beta_2) * squared
