"""The last layer by class-weighted multinomial logistic regression, from sums alone.

W and b minimise f + (ridge / 2) n |W|^2, f the summed cross-entropy, n the total weight, W of standardised
features. The Hessian would be C^2 times as large as A; but it is bounded by 1/2 (I - 11^T / C) x A (Boehning
1992, Annals of the Institute of Statistical Mathematics 44, 197-200), and A is known. So this is L-BFGS
(Nocedal and Wright 2006, algorithm 7.4) whose first metric is that bound, with backtracking: some twenty
exact gradients give the minimum. There is one, whatever the images. All depends on sums alone: clinics that
add them up take the same steps as one that has all images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead, Standardised, standardised
from dermafed.shared.training.exact_head.slope_sums import SlopeSums

MOST_POINTS = 24
"""Points that the clinics are asked for at most."""

SMALL_SLOPE = 1e-8
"""Of the objective a unit of weight, by standardised weights: below it, the minimum is reached."""

_LEAST_GAIN = 1e-4  # Armijo's share of the predicted gain

Ask = Callable[[LinearHead], SlopeSums]
"""The sums of all clinics at a head."""


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head, and how it was found.

    Attributes:
        head: kernel and bias.
        loss: mean weighted cross-entropy, in nats.
        points: number of points that were asked for.
        converged: whether the slope is small.
    """

    head: LinearHead
    loss: float
    points: int
    converged: bool


def logistic_head(sums: HeadSums, ask: Ask, ridge: float, most_points: int = MOST_POINTS) -> FittedHead:
    """The head of the least penalised cross-entropy.

    Args:
        sums: of all clinics.
        ask: gives the sums of the same images at a head.
        ridge: the penalty, above 0.
        most_points: how often to ask at most.

    Raises:
        FederationError: there is no image.
    """
    space = _Space(standardised(sums), ridge)
    classes = sums.targets.shape[1]
    here = space.place(np.zeros((len(sums.gram), classes)), ask)
    memory: list[tuple[Floats, Floats]] = []
    points = 1
    while np.abs(here.slope).max() > SMALL_SLOPE and points < most_points:
        step = -space.direction(here.slope, memory)
        share = 1.0
        while points < most_points:
            there = space.place(here.x + share * step, ask)
            points += 1
            if here.value - there.value >= -_LEAST_GAIN * share * float((here.slope * step).sum()) - 1e-14:
                break
            share /= 2
        else:
            break
        moved, turned = there.x - here.x, there.slope - here.slope
        if float((moved * turned).sum()) > 0:
            memory.append((moved, turned))
        here = there
    converged = bool(np.abs(here.slope).max() <= SMALL_SLOPE)
    return FittedHead(space.head(here.x), here.loss, points, converged)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """The objective a unit of weight at x (K + 1, C), weights and bias of standardised features."""

    x: Floats
    value: float
    slope: Floats
    loss: float


class _Space:
    """Standardised features, and the bound of the curvature."""

    def __init__(self, space: Standardised, ridge: float) -> None:
        self._space, self._ridge = space, ridge
        self._values, self._vectors = np.linalg.eigh(space.covariance)

    def head(self, x: Floats) -> LinearHead:
        return self._space.head(x[:-1], x[-1])

    def place(self, x: Floats, ask: Ask) -> _Place:
        found, space = ask(self.head(x)), self._space
        own = (found.slopes[:-1] - np.outer(space.mean, found.slopes[-1])) * space.scale[:, None]
        slope = np.concatenate([own / space.total + self._ridge * x[:-1], found.slopes[-1:] / space.total])
        loss = found.loss / space.total
        return _Place(x, loss + self._ridge / 2 * float((x[:-1] ** 2).sum()), slope, loss)

    def direction(self, slope: Floats, memory: list[tuple[Floats, Floats]]) -> Floats:
        """The slope by the inverse of the curvature, as far as it is known (algorithm 7.4)."""
        rates = [1 / float((moved * turned).sum()) for moved, turned in memory]
        parts = []
        for (moved, turned), rate in reversed(list(zip(memory, rates, strict=True))):
            parts.append(rate * float((moved * slope).sum()))
            slope = slope - parts[-1] * turned
        found = self._by_bound(slope)
        if memory:  # the bound, scaled to the curvature seen last (equation 7.20)
            moved, turned = memory[-1]
            found = found * float((moved * turned).sum()) / float((turned * self._by_bound(turned)).sum())
        for (moved, turned), rate, part in zip(memory, rates, reversed(parts), strict=True):
            found = found + (part - rate * float((turned * found).sum())) * moved
        return found

    def _by_bound(self, slope: Floats) -> Floats:
        """By the inverse of the bound; the classes' slopes sum to 0, so that I - 11^T / C is the identity."""
        rotated = self._vectors.T @ slope[:-1]
        weights = self._vectors @ (rotated / (np.maximum(self._values, 0) / 2 + self._ridge)[:, None])
        return np.concatenate([weights, 2 * slope[-1:]])
