"""What a strategy is: what it tells the trainers, and how it moves the model towards their mean."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.training.trainer import FloatVector

Means = NDArray[np.float64]
State = dict[str, FloatVector]
"""The server optimiser's memory, by name, float32 (P,) each; empty before the first round."""


class Strategy(Protocol):
    """A frozen dataclass whose fields are its options."""

    def instructions(self) -> dict[str, float]:
        """What goes to every trainer with the model."""
        ...

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """The server's step; a pure function, so that a resumed run goes the same way.

        Args:
            weights: the global model that the clinics started from, (P,).
            mean: the weighted mean of what they made of it, (P,).
            state: what the previous step gave back.
            round: the round's number, from 1.

        Returns:
            The new global model (P,) and the new state.
        """
        ...
