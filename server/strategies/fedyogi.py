"""FedYogi: Reddi et al. 2021, algorithm 2, https://arxiv.org/abs/2003.00295"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.server.strategies.fedopt import FedOpt
from dermafed.server.strategies.strategy import Means
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedYogi(FedOpt):
    """m as in Adam; v <- v - (1 - beta_2) change**2 sign(v - change**2), so that v changes slowly.

    Attributes:
        beta_1: in [0, 1).
        beta_2: in [0, 1).
    """

    beta_1: float = 0.9
    beta_2: float = 0.99

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """Decaying mean of the changes."""
        return self.beta_1 * moment + (1 - self.beta_1) * change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """Towards the square, by a step that does not depend on the distance."""
        return moment - (1 - self.beta_2) * squared * np.sign(moment - squared)
