"""The ridge head of merged sums: a linear layer in closed form.

W minimises sum w |y - W^T z - b|^2 + ridge n |W|^2 over standardised features z, n the total weight. The
features are standardised by what A says of their means and variances; the bias is not penalised. (Hoerl and
Kennard 1970; for federations, FED3R, arXiv:2402.01898, eq. 4.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums

_CONSTANT = 1e-10  # a variance below this share of the mean square is rounding


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """A linear layer.

    Attributes:
        kernel: float64 (K, C).
        bias: float64 (C,).
    """

    kernel: Floats
    bias: Floats

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """Scores float64 (N, C) of features (N, K); about 1 for the class, -1 for the others."""
        return np.asarray(features.astype(np.float64) @ self.kernel + self.bias)

    @classmethod
    def of(cls, weights: NDArray[np.float32], features: int, classes: int) -> LinearHead:
        """The last layer of a model's flat weights (P,): its kernel and bias are the last of them."""
        last = weights[-(features + 1) * classes :].astype(np.float64)
        return cls(last[:-classes].reshape(features, classes), last[-classes:])

    def into(self, weights: NDArray[np.float32]) -> Floats:
        """A model's flat weights with this last layer, float64 (P,)."""
        last = np.concatenate([self.kernel.ravel(), self.bias])
        return np.concatenate([weights[: -last.size].astype(np.float64), last])


def ridge_head(sums: HeadSums, ridge: float) -> LinearHead:
    """The head of the least penalised squares.

    A feature that is the same for all images gets the weight 0.

    Args:
        sums: of all clinics.
        ridge: the penalty, 0 or more; 0 is least squares.

    Raises:
        SettingsError: the ridge is negative or NaN.
        FederationError: there is no image, or, without a ridge, the sums are singular.
    """
    if not 0 <= ridge < np.inf:
        raise SettingsError(f"A ridge of {ridge} is impossible", where="ridge", remedy="Give 0 or more")
    space = standardised(sums)
    average = sums.targets[-1] / space.total
    products = (sums.targets[:-1] / space.total - np.outer(space.mean, average)) * space.scale[:, None]
    weights, used = np.zeros_like(products), space.scale > 0
    weights[used] = _solve(space.covariance[np.ix_(used, used)], products[used], ridge)
    return space.head(weights, average)


@dataclass(frozen=True, slots=True, eq=False)
class Standardised:
    """Features z = (phi - mean) scale of mean 0 and variance 1, by what A says of them.

    Attributes:
        mean: float64 (K,).
        scale: one over the standard deviation, float64 (K,); 0 for a feature that is the same for all images.
        covariance: of z, float64 (K, K).
        total: the images' weight.
    """

    mean: Floats
    scale: Floats
    covariance: Floats
    total: float

    def head(self, weights: Floats, bias: Floats) -> LinearHead:
        """The head on phi of weights (K, C) and bias (C,) on z."""
        kernel = weights * self.scale[:, None]
        return LinearHead(kernel, bias - self.mean @ kernel)


def standardised(sums: HeadSums) -> Standardised:
    """The moments of the images' features.

    Raises:
        FederationError: there is no image.
    """
    total = float(sums.gram[-1, -1])
    if not total > 0:
        raise FederationError("There is no image to fit a head to", remedy="Wait for more clinics")
    mean, deviation = _moments(sums.gram, total)
    used = deviation > 0
    scale = np.where(used, 1 / np.where(used, deviation, 1), 0)
    covariance = (sums.gram[:-1, :-1] / total - np.outer(mean, mean)) * np.outer(scale, scale)
    return Standardised(mean, scale, covariance, total)


def _moments(gram: Floats, total: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature, (K,); the latter exactly 0 where only rounding is left."""
    mean = gram[-1, :-1] / total
    square = np.diag(gram)[:-1] / total
    variance = square - mean**2
    return mean, np.sqrt(np.where(variance > _CONSTANT * square, variance, 0))


def _solve(covariance: Floats, products: Floats, ridge: float) -> Floats:
    penalised = covariance + ridge * np.eye(len(covariance))
    if not ridge and len(covariance) and np.linalg.cond(penalised, "fro") > 1e12:
        raise FederationError(
            "The sums are singular: there are fewer images than features, or features repeat each other",
            remedy="Give a ridge above 0",
        )
    return np.asarray(np.linalg.solve(penalised, products))
