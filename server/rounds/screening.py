"""Screen the updates of one round against each other, in parts: trained weights, means and variances.

The norm of each part's step is compared with the round's median, and the direction of the step of the weights
with those of the other clinics. A step that is too long is shortened; a clinic whose step points away from
the others' is left out. No clinic can do either to another: the lower median of three is never the one that
lies, and a mean cosine below -1/2 to two others takes both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dermafed.server.rounds.update_spool import UpdateSpool
from dermafed.shared.errors import FederationError
from dermafed.shared.model.parts import PARTS, VARIANCES, WEIGHTS, Parts
from dermafed.shared.training.trainer import FloatVector

WARNING = 3.0
"""Times the median from which a step's norm is warned of."""

LEAST_COSINE = -0.5
"""A mean cosine below it, to two other clinics or more, leaves a clinic out."""

MOST_TIMES = 1e12
"""As which larger multiples of a median are shown, so that all that is recorded is finite."""

LARGEST_VALUE = 1e9
"""Larger than any weight or running statistic of a network that predicts something."""

_BLOCK = 2**16  # indices within it are uint16


@dataclass
class Screened:
    """What was found about one clinic's step.

    Attributes:
        norms: Euclidean norm of each part.
        times_median: each norm as a multiple of the round's median; NaN where that is 0, or it is alone.
        cosine: mean cosine of its step of the weights with those of the others; NaN if there is none.
        factors: what each part of its step is multiplied by.
        left_out: why it is left out; empty: it is not.
    """

    norms: tuple[float, ...]
    times_median: tuple[float, ...] = (math.nan,) * len(PARTS)
    cosine: float = math.nan
    factors: tuple[float, ...] = (1.0,) * len(PARTS)
    left_out: str = ""

    @property
    def note(self) -> str:
        """What a coordinator should know of it; empty if there is nothing."""
        notes = []
        for part, times, factor in zip(PARTS, self.times_median, self.factors, strict=True):
            if times > WARNING:
                done = f", shortened to {times * factor:.3g}" if factor < 1 else ""
                notes.append(f"its step of the {part} is {times:.3g} times the median{done}")
            elif factor == 0:
                notes.append(f"its step of the {part}, which nobody else takes, is not used")
        if self.cosine < LEAST_COSINE:
            notes.append(f"its step points away from the others' (cosine {self.cosine:.2f})")
        return "; ".join(notes)


@dataclass(frozen=True)
class Screen:
    """How the updates of a run are screened.

    Attributes:
        parts: the part of each weight, uint8 (P,).
        largest_step: most times the median that a part of a step may be long, or it is shortened (a robust
            rule leaves such a step out, see :mod:`.robust_models`); ``None``: nothing is changed and nobody
            is left out, but the same is measured.
    """

    parts: Parts
    largest_step: float | None = None
    _masks: list[np.ndarray] = field(init=False, repr=False)
    _others: list[np.ndarray] = field(init=False, repr=False)  # where a block has no weights: they are few

    def __post_init__(self) -> None:
        masks = [self.parts == part for part in range(len(PARTS))]
        others = [np.flatnonzero(self.parts[block] != WEIGHTS) for block in _blocks(self.parts.size)]
        object.__setattr__(self, "_masks", masks)
        object.__setattr__(self, "_others", [found.astype(np.uint16) for found in others])

    def check(self, weights: FloatVector) -> None:
        """Refuse an update that is wrong whatever the others send.

        Raises:
            FederationError: a weight is not finite or absurdly large, or a variance is below 0.
        """
        if not np.isfinite(weights).all():
            raise FederationError("its weights are not all finite numbers")
        if weights.size and max(float(weights.max()), -float(weights.min())) > LARGEST_VALUE:
            raise FederationError(f"one of its weights is beyond {LARGEST_VALUE:g}")
        variances = weights[self._masks[VARIANCES]]
        if (variances < 0).any():
            raise FederationError(
                f"{int((variances < 0).sum())} of its batch normalisation's variances are below 0"
            )

    def norms(self, weights: FloatVector, start: FloatVector) -> tuple[float, ...]:
        """The Euclidean norm of each part of a step: all that needs no other update.

        Args:
            weights: a clinic's model, checked, float32 (P,).
            start: the model that it started from, float32 (P,).
        """
        squares = np.zeros(len(PARTS))
        for block, step, others in self._steps(weights, start):
            rest = step[others]
            squares += np.bincount(self.parts[block][others], rest * rest, len(PARTS))
            step[others] = 0
            squares[WEIGHTS] += step @ step
        return tuple(np.sqrt(squares).tolist())

    def screen(
        self, start: FloatVector, spool: UpdateSpool, norms: Mapping[str, tuple[float, ...]]
    ) -> dict[str, Screened]:
        """Compare the updates of a round.

        Args:
            start: the model that the clinics started from, float32 (P,).
            spool: their models, each checked.
            norms: of each model, from :meth:`norms`.
        """
        found = {clinic: Screened(norms[clinic]) for clinic in sorted(norms)}
        together = self._together(start, spool, found)
        for clinic, weights in spool.items():
            found[clinic].cosine = self._cosine(found[clinic], weights, start, together, len(found))
        medians = [_lower_median(list(part)) for part in zip(*norms.values(), strict=True)]
        for one in found.values():
            self._compare(one, medians, len(found))
        return found

    def shortened(self, weights: FloatVector, start: FloatVector, one: Screened) -> FloatVector:
        """A clinic's model after the shortened step; the same vector where nothing is shortened."""
        if min(one.factors) == 1:
            return weights
        result = weights.astype(np.float64)
        for mask, factor in zip(self._masks, one.factors, strict=True):
            if factor < 1:
                result[mask] = start[mask] + factor * (result[mask] - start[mask])
        return result.astype(np.float32)

    def _together(self, start: FloatVector, spool: UpdateSpool, found: Mapping[str, Screened]) -> np.ndarray:
        """The sum of the clinics' steps of the weights, each of length 1; 0 in the other parts."""
        together = np.zeros(start.size)
        for clinic, weights in spool.items():
            norm = found[clinic].norms[WEIGHTS]
            for block, step, others in self._steps(weights, start) if norm else ():
                step[others] = 0
                step /= norm
                together[block] += step
        return together

    def _cosine(
        self, one: Screened, weights: FloatVector, start: FloatVector, together: np.ndarray, clinics: int
    ) -> float:
        if clinics < 2 or not one.norms[WEIGHTS]:
            return math.nan
        product = sum(float(step @ together[block]) for block, step, _ in self._steps(weights, start))
        return (product / one.norms[WEIGHTS] - 1) / (clinics - 1)

    def _steps(
        self, weights: FloatVector, start: FloatVector
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """A clinic's step in blocks, float64, and where each has no weights; the next overwrites it.

        A whole step takes twice the memory of the model.
        """
        step = np.empty(_BLOCK)
        for block, others in zip(_blocks(start.size), self._others, strict=True):
            of, since = weights[block], start[block]
            yield block, np.subtract(of, since, out=step[: of.size], dtype=np.float64), others

    def _compare(self, one: Screened, medians: list[float], clinics: int) -> None:
        if clinics < 2:
            return
        one.times_median = tuple(
            min(norm / median, MOST_TIMES) if median else math.nan
            for norm, median in zip(one.norms, medians, strict=True)
        )
        if self.largest_step is None:
            return
        one.factors = tuple(
            min(1.0, self.largest_step * median / norm) if norm else 1.0
            for norm, median in zip(one.norms, medians, strict=True)
        )
        if clinics > 2 and one.cosine < LEAST_COSINE:
            one.left_out = f"its step points away from the others' (cosine {one.cosine:.2f})"


def _blocks(size: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, size, _BLOCK))


def _lower_median(values: list[float]) -> float:
    """The median, of two in the middle the lower one."""
    return sorted(values)[(len(values) - 1) // 2]
