"""What of the weights travels in a run, and in few bits: the server's part, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.strategies import Means, State
from dermafed.shared.compression.coded_change import rounded_model
from dermafed.shared.compression.rotation import Floats
from dermafed.shared.compression.selection import Selection, taken
from dermafed.shared.protocol.known_model import KnownModel
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.training.trainer import FloatVector

MARGIN = 8.0
"""A sum may be so many times as large as is expected on average: of four million rotated values, which are
normal, the largest is 5.3 times the mean."""

SCALE = "coding_scale"
"""In a run's state: the root mean square of the last change of a coded weight, at a learning rate of 1."""


class Nearest:
    """Rounds to the nearest step."""

    def uniform(self, count: int) -> Floats:
        """Not random: the middle."""
        return np.full(count, 0.5)


@dataclass(frozen=True)
class Coding:
    """What of the weights travels in a run.

    Attributes:
        moved: bool (P,), the weights that training moves.
        adapted: bool (P,), those whose changes may be coded: the others are statistics of other scales.
        bits: of each coded change; 0: all travel in full.
        rates: the mean learning rate of each round, with which changes grow and shrink; empty: it is 1.
    """

    moved: NDArray[np.bool_]
    adapted: NDArray[np.bool_]
    bits: int = 0
    rates: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        moved: NDArray[np.bool_] | None,
        adapted: NDArray[np.bool_],
        bits: int | None,
        plan: Plan | Offer,
        summing: Summing | None,
    ) -> Coding | None:
        """The coding of a run; ``None`` where its messages need none to leave out what does not change.

        Args:
            moved: the weights that training moves; ``None``: perhaps all.
            adapted: those whose changes may be coded.
            bits: of the plan.
            plan: has the rounds, and the training, whose learning rate changes from one to the next.
            summing: of secure sums, whose masks hide what does not change; ``None``: there are none.
        """
        moved = np.ones(adapted.size, bool) if moved is None else moved
        if not bits and (summing is None or not summing.selects or moved.all()):
            return None
        return cls(moved, adapted, bits or 0, plan.recipe.mean_rates(plan.rounds))

    @property
    def whole(self) -> Selection:
        """What travels where nothing can be coded yet."""
        return Selection.of(self.moved, self.adapted)

    @property
    def selection(self) -> Selection:
        """What travels, and what of it is coded."""
        return Selection.of(self.moved, self.adapted, self.bits)

    def in_sum(self, memory: State, images: int, number: int) -> Selection:
        """What travels into a secure sum, with the step that all clinics have in common.

        It follows from what all know: the last round's change, the plan's learning rates, and the training
        images over all clinics.
        Without one, in the first round or after one that was lost, all travel in full.

        Args:
            memory: the run's state after the last round.
            images: training images over all clinics, by which changes are weighted.
            number: the round.
        """
        scale = float(memory[SCALE][0]) * self._rate(number) if SCALE in memory else 0.0
        if not self.bits or not scale > 0:
            return self.whole
        return replace(self.selection, step=2 * MARGIN * scale * images / 2**self.bits)

    def rounded(self, before: FloatVector, after: FloatVector) -> FloatVector:
        """A round's model, its coded changes in as few bits: what clinics make of the codes is this model."""
        selection = self.selection
        return rounded_model(before, after, selection, KnownModel.of(before).digest, Nearest())

    def with_scale(self, memory: State, before: FloatVector, mean: Means, number: int) -> State:
        """The state after a round of this number, with the scale of its mean change."""
        if not self.bits:
            return memory
        change = taken(mean - before, self.selection.coded)
        scale = np.sqrt(np.mean(change**2)) / self._rate(number)
        return {**memory, SCALE: np.array([scale], np.float32)}

    def _rate(self, number: int) -> float:
        return self.rates[number - 1] if number <= len(self.rates) else 1.0


def without_scale(memory: Mapping[str, FloatVector]) -> State:
    """A run's state without what belongs to the coding, as its strategy made it."""
    return {name: values for name, values in memory.items() if name != SCALE}
