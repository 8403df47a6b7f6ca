"""FedAdagrad: Reddi et al. 2021, algorithm 2, https://arxiv.org/abs/2003.00295"""

from __future__ import annotations

from dataclasses import dataclass

from server.strategy.fedopt import FedOpt
from server.strategy.strategy import Means
from shared.training.trainer import FloatVector


@dataclass(frozen=True)
class FedAdagrad(FedOpt):
    """m = change, v <- v + change**2."""

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """No momentum."""
        return change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """The sum of all squares."""
        return moment + squared
