"""Fit a scale and offsets by sums alone: damped Newton steps on what the clinics answer.

Boyd and Vandenberghe 2004, Convex Optimization, algorithm 9.5, with the backtracking of algorithm 9.2. The
objective is the summed log loss plus a penalty of (PENALTY / 2) |x - centre|^2, x = (a, b). It is strictly
convex, so there is one minimum whatever the images: also where a class is missing, or where a model is
right on every image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.class_offsets import LARGEST_OFFSET, SCALES, ClassOffsets, Floats
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums

PENALTY = 10.0
"""The penalty 5 d^2 is a normal prior with standard deviation 1 / sqrt(10) = 0.32: before any image is
seen, a class's odds differ from the centre by a factor of 1.4 or less in two of three cases. It weighs as
much as 40 images of even odds (curvature 1/4 each). Chosen on five clinics' validation images: with 3 the
offsets follow the few images of a clinic, and rank melanomas worse; with 30 the probabilities fit worse."""

MOST_POINTS = 16
"""Points that are asked for at most; five or six are usual."""

SMALL_STEP = 1e-6
"""A step this small is the last: Newton steps converge quadratically, so the error after it is far below."""

_LEAST_GAIN = 1e-4  # share of the predicted gain that a step must bring (alpha of algorithm 9.2)

Ask = Callable[[ClassOffsets], Mapping[str, OffsetSums]]
"""Each clinic's sums at a point, by its name; clinics may fall away."""


@dataclass(frozen=True, slots=True)
class FittedOffsets:
    """A scale and offsets, and the images that they were fitted to.

    Attributes:
        point: the scale and offsets.
        counts: images of each class, (C,).
        loss: mean negative log-likelihood with them, in nats.
        points: number of points that were asked for.
        clinics: number of clinics that the images come from.
        converged: whether the last step was small.
    """

    point: ClassOffsets
    counts: tuple[int, ...]
    loss: float
    points: int
    clinics: int
    converged: bool

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(self.counts)


def fit_offsets(ask: Ask, centre: ClassOffsets, start: ClassOffsets | None = None) -> FittedOffsets | None:
    """The scale and offsets of the least penalised log loss.

    A class of which there is no image keeps its offset of the centre: nothing is known against it.

    Args:
        ask: gives the clinics' sums at a point; called MOST_POINTS times at most.
        centre: what the penalty draws to.
        start: the first point, with the centre's offsets; the centre if not given.

    Returns:
        The fit; ``None`` if no clinic has any image.
    """
    here = _Place.of(ask(start or centre), centre)
    if here is None or not here.sums.images:
        return None
    points, share = 1, 1.0
    while True:
        step = here.newton_step()
        if np.abs(step).max() <= SMALL_STEP:
            return here.fitted(ClassOffsets.of_vector(here.x + step), points, converged=True)
        if points == MOST_POINTS:
            return here.fitted(here.sums.point, points, converged=False)
        there = _Place.of(ask(ClassOffsets.of_vector(here.x + share * step)), centre)
        points += 1
        if there is None or not here.clinics.keys() & there.clinics.keys():
            return here.fitted(here.sums.point, points, converged=False)
        here = here.only(there.clinics)
        there = there.only(here.clinics)
        gained = here.value - there.value
        rounding = 1e-12 * abs(here.value)
        if gained >= _LEAST_GAIN * (here.slope @ (here.x - there.x)) - rounding:
            here, share = there, 1.0
        else:
            share /= 2


@dataclass(frozen=True, slots=True)
class _Place:
    """The clinics' sums at a point, with the penalty."""

    clinics: Mapping[str, OffsetSums]
    centre: ClassOffsets
    sums: OffsetSums

    @classmethod
    def of(cls, clinics: Mapping[str, OffsetSums], centre: ClassOffsets) -> _Place | None:
        return cls(clinics, centre, _merged(clinics.values())) if clinics else None

    def only(self, names: Iterable[str]) -> _Place:
        """The same of some clinics: two points are compared on the same images."""
        common = {name: self.clinics[name] for name in self.clinics if name in set(names)}
        return (
            self
            if len(common) == len(self.clinics)
            else _Place(common, self.centre, _merged(common.values()))
        )

    @property
    def x(self) -> Floats:
        return self.sums.point.vector

    @property
    def value(self) -> float:
        away = self.x - self.centre.vector
        return self.sums.loss + PENALTY / 2 * float(away @ away)

    @property
    def slope(self) -> Floats:
        return self.sums.gradient + PENALTY * (self.x - self.centre.vector)

    def newton_step(self) -> Floats:
        """The step to the minimum of the quadratic model, (1 + C,), within the ranges."""
        slope, free = self.slope, self._free()
        step = np.zeros_like(slope)
        curvature = self.sums.hessian + PENALTY * np.eye(len(slope))
        step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        return ClassOffsets.of_vector(self.x + step).vector - self.x

    def _free(self) -> NDArray[np.bool_]:
        """Which parameters move: not those of classes without images, nor those at the end of their range."""
        low = np.array([SCALES[0], *[-LARGEST_OFFSET] * (len(self.x) - 1)])
        high = np.array([SCALES[1], *[LARGEST_OFFSET] * (len(self.x) - 1)])
        stuck = ((self.x <= low) & (self.slope > 0)) | ((self.x >= high) & (self.slope < 0))
        return np.asarray(~stuck & np.concatenate([[True], self.sums.counts > 0]))

    def fitted(self, point: ClassOffsets, points: int, *, converged: bool) -> FittedOffsets:
        images, counts = self.sums.images, tuple(self.sums.counts.tolist())
        clinics = len(self.clinics)
        return FittedOffsets(point, counts, self.sums.loss / images, points, clinics, converged)


def _merged(sums: Iterable[OffsetSums]) -> OffsetSums:
    return reduce(add, sums)
