"""A scale and one offset a class: what turns a model's logits into a decision that fits where it is used.

Temperature scaling (Guo et al. 2017) with a bias for each class, "bias-corrected temperature scaling" of
Alexandari, Kundaje and Shrikumar 2020, arXiv:1901.06852: the probabilities are softmax(a z + b). The scale
a is 1 / T. In (a, b) the log loss is convex, which it is not in T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dermafed.shared.errors import FederationError, ModelError

Floats = NDArray[np.float64]

SCALES = (1 / 16, 8.0)
"""Least and largest scale: those of the temperatures 16 and 1/8."""

LARGEST_OFFSET = 16.0
"""In nats; an offset of 16 multiplies a class's odds by nine million."""


@dataclass(frozen=True, slots=True)
class ClassOffsets:
    """A scale and one offset a class.

    Attributes:
        scale: a, within SCALES; what logits are multiplied by.
        offsets: b, of each of the C classes, in nats, from -LARGEST_OFFSET to LARGEST_OFFSET.
    """

    scale: float
    offsets: tuple[float, ...]

    @classmethod
    def none(cls, classes: int) -> ClassOffsets:
        """Those that change nothing."""
        return cls(1.0, (0.0,) * classes)

    @classmethod
    def of_vector(cls, vector: Floats) -> ClassOffsets:
        """From (1 + C,), the scale first; what lies outside the ranges is moved to their ends."""
        offsets = np.clip(vector[1:], -LARGEST_OFFSET, LARGEST_OFFSET)
        return cls(float(np.clip(vector[0], *SCALES)), tuple(offsets.tolist()))

    @property
    def vector(self) -> Floats:
        """Float64 (1 + C,), the scale first."""
        return np.array([self.scale, *self.offsets])

    def probabilities(self, logits: NDArray[np.floating]) -> Floats:
        """Probabilities float64 (..., C) of logits (..., C)."""
        scaled = self.scale * logits.astype(np.float64) + np.array(self.offsets)
        return np.asarray(softmax(scaled, axis=-1))

    def without_prior(self, shares: Floats) -> ClassOffsets:
        """Those that answer as if all classes were equally frequent: b - log shares.

        Args:
            shares: of the classes among the images that the offsets were fitted to, (C,), all above 0.
        """
        return ClassOffsets.of_vector(self.vector - np.concatenate([[0.0], np.log(shares)]))

    def validate(self, classes: int) -> None:
        """Refuse what :func:`~dermafed.shared.metrics.calibration.offset_fit.fit_offsets` cannot give.

        Raises:
            FederationError: another number of classes, NaN, or a value out of range.
        """
        inside = SCALES[0] <= self.scale <= SCALES[1] and all(
            abs(offset) <= LARGEST_OFFSET for offset in self.offsets
        )
        if len(self.offsets) != classes or not inside:  # NaN is outside too
            raise FederationError(f"these are no scale and offsets of {classes} classes")


def check_finite_logits(logits: NDArray[np.floating]) -> None:
    """Refuse NaN and infinity.

    Raises:
        ModelError: a logit is one of these.
    """
    if not np.isfinite(logits).all():
        raise ModelError(
            "The model's outputs are not finite", remedy="Use another round's model; train at a lower rate"
        )
