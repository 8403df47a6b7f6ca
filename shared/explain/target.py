"""What is explained: a class, or why one class rather than another, as logit or probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.shared.explain.convention import Score
from dermafed.shared.explain.engine import Outputs
from dermafed.shared.explain.maps import Float


@dataclass(frozen=True, slots=True)
class Target:
    """The score to explain.

    Attributes:
        index: the class.
        against: a second class, whose score is subtracted: "why melanoma rather than nevus".
    """

    index: int
    against: int | None = None

    def score(self, outputs: Outputs, kind: Score) -> Float:
        """Picks the score out of logits and probabilities (N, C).

        Returns:
            float32 (N,).
        """
        values = outputs.logits if kind == "logit" else outputs.probabilities
        return values @ self.one_hot(values.shape[1])

    def one_hot(self, classes: int) -> Float:
        """The score as weights of the classes: 1 for the class, -1 for the one against it; float32 (C,)."""
        weights = np.zeros(classes, np.float32)
        weights[self.index] += 1
        if self.against is not None:
            weights[self.against] -= 1
        return weights
