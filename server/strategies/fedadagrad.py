"""FedAdagrad: Reddi et al. 2021, algorithm 2, https://arxiv.org/abs/2003.00295"""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.server.strategies.fedopt import FedOpt
from dermafed.server.strategies.strategy import Means
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedAdagrad(FedOpt):
    """m = change, v <- v + change**2."""

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """No momentum."""
        return change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """The sum of all squares."""
        return moment + squared
