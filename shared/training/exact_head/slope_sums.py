"""What a clinic sends to train the last layer by logistic regression: the loss of its images and its slopes.

f = sum w CE(softmax(W^T phi), y), and its gradient G = sum w phi (p - onehot)^T, phi the features with a 1
behind them, w of the image's class. The sums of several clinics add: a fit by them is the fit to all images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError
from dermafed.shared.training.exact_head.head_sums import Floats
from dermafed.shared.training.exact_head.ridge import LinearHead

LARGEST_LOSS = 1e12
"""Larger than that of any images by a head that can be used, and so small that sums are finite."""


@dataclass(frozen=True, slots=True, eq=False)
class SlopeSums:
    """The loss of images by a head, and its slopes; those of several clinics add.

    Attributes:
        loss: summed weighted cross-entropy, in nats.
        slopes: its gradient by kernel and bias, float64 (K + 1, C); the bias is last.
        weight: summed weight of the images.
    """

    loss: float
    slopes: Floats
    weight: float

    @classmethod
    def of(
        cls, features: NDArray[np.floating], labels: NDArray[np.int64], weights: Floats, head: LinearHead
    ) -> SlopeSums:
        """Sum up images.

        Args:
            features: (N, K).
            labels: indices of the true classes, (N,).
            weights: of an image of each class, (C,); the images of a class with weight 0 are left out.
            head: where to sum up.
        """
        known = weights[labels] > 0
        features, labels = features[known].astype(np.float64), labels[known]
        scores = head.scores(features)
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        own = weights[labels]
        wrong = own[:, None] * (np.exp(logs) - np.eye(len(weights))[labels])
        slopes = np.concatenate([features.T @ wrong, wrong.sum(axis=0, keepdims=True)])
        return cls(float(-(own * logs[np.arange(len(labels)), labels]).sum()), slopes, float(own.sum()))

    def __add__(self, other: SlopeSums) -> SlopeSums:
        return SlopeSums(self.loss + other.loss, self.slopes + other.slopes, self.weight + other.weight)

    def times(self, factor: float) -> SlopeSums:
        """As if every image weighed so much more."""
        return SlopeSums(factor * self.loss, factor * self.slopes, factor * self.weight)

    def validate(self, gram: Floats) -> None:
        """Refuse what the images of a clinic's A cannot give.

        Args:
            gram: A, (K + 1, K + 1), of the same images.

        Raises:
            FederationError: it is not finite, or larger than these features allow.
        """
        total = gram[-1, -1]
        if not (np.isfinite(self.slopes).all() and 0 <= self.loss <= LARGEST_LOSS):
            raise _refusal("they are not finite")
        if not abs(self.weight - total) <= 1e-9 * total:
            raise _refusal("they are of other images than its A")
        # |sum w phi (p - y)| <= sqrt(sum w phi^2 sum w) by Cauchy and Schwarz, since |p - y| <= 1.
        largest = np.sqrt(np.maximum(np.diag(gram), 0) * total) * (1 + 1e-6) + 1e-9
        if not (np.abs(self.slopes) <= largest[:, None]).all():
            raise _refusal("no features have these slopes")
        if np.abs(self.slopes.sum(axis=1)).max() > 1e-6 * largest.max():
            raise _refusal("the classes' slopes do not cancel")


def _refusal(why: str) -> FederationError:
    remedy = "Install the same version of DermaFed at every clinic"
    return FederationError(f"A clinic's slopes for the head are refused: {why}", remedy=remedy)
