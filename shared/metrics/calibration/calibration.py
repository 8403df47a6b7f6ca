"""What was measured of a model's numbers on validation images, and how it is applied to one image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.calibration_sums import TrustSums
from dermafed.shared.metrics.calibration.out_of_distribution import Outside
from dermafed.shared.metrics.calibration.selective_prediction import Selection, select


@dataclass(frozen=True, eq=False)
class Trust:
    """What is known of a model's numbers.

    Attributes:
        model: SHA-256 of the model's weights, 64 hexadecimal digits.
        classes: names of the C classes.
        sums: over the validation images, at the temperature.
        clinics: how many clinics' images these are.
        rule: what lies outside the clinic's own images; ``None`` where that was not fitted.
    """

    model: str
    classes: tuple[str, ...]
    sums: TrustSums
    clinics: int = 1
    rule: Outside | None = None

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (C,) of logits (C,)."""
        return softmax(logits / np.float64(self.sums.temperature))

    def unsure(self, probabilities: NDArray[np.float64]) -> bool:
        """Whether calibrated probabilities (C,) are too close to call."""
        return self.selection.unsure(float(probabilities.max()))

    def outside_score(self, logits: NDArray[np.float32], features: NDArray[np.float32]) -> float | None:
        """How far outside an image lies, from logits (C,) and pooled features (K,); higher is farther."""
        return None if self.rule is None else float(self.rule.scores(features[None])[0])

    def outside(self, score: float) -> bool:
        """Whether an image of this score lies outside what the model has seen."""
        return self.rule is not None and score > self.rule.threshold

    @cached_property
    def selection(self) -> Selection:
        """The rule for "unsure", and what it implies."""
        return select(self.sums.after)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities (C,) of logits (C,)."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def weights_digest(weights: NDArray[np.float32]) -> str:
    """What :attr:`Trust.model` says of a model's flat weights, float32 (P,)."""
    return hashlib.sha256(weights.tobytes()).hexdigest()
