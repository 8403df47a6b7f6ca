"""What was measured of a model's numbers on validation images, and how it is applied to one image."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Trust(Protocol):
    """What is known of a model's numbers."""

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (C,) of logits (C,)."""
        ...

    def unsure(self, probabilities: NDArray[np.float64]) -> bool:
        """Whether calibrated probabilities (C,) are too close to call."""
        ...

    def outside_score(self, logits: NDArray[np.float32], features: NDArray[np.float32]) -> float | None:
        """How far outside an image lies, from logits (C,) and pooled features (K,); higher is farther."""
        ...

    def outside(self, score: float) -> bool:
        """Whether an image of this score lies outside what the model has seen."""
        ...


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (C,) of logits (C,)."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())
