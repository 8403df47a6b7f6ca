"""The steps of a round's clinics in blocks of coordinates, as they come from the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.server.robust.selection import lower_median
from dermafed.server.robust.sketch import CHUNK, Floats
from dermafed.shared.model.parts import Parts
from dermafed.shared.training.trainer import FloatVector

BLOCK_VALUES = 2**21
"""Values of a block, of all clinics together: 16 MiB in float64, unless there are more than 512 clinics."""

ReadBlocks = Callable[[int], Iterator[tuple[int, NDArray[np.float32]]]]
"""From the number of coordinates of a block: where each block starts, and the models' values, (n, B)."""


@dataclass(frozen=True)
class Steps:
    """What each clinic's training added to the model, each part shortened by its factor.

    Attributes:
        start: the model that the clinics started from, float32 (P,).
        models: reads their models, in the order of the clinics.
        parts: the part of each weight, uint8 (P,).
        factors: what each part of each step is multiplied by, (n, parts).
        norms: norm of each part of each step before that, (n, parts).
    """

    start: FloatVector
    models: ReadBlocks
    parts: Parts
    factors: Floats
    norms: Floats

    @property
    def clinics(self) -> int:
        """Number n of the clinics."""
        return len(self.factors)

    @property
    def parameters(self) -> int:
        """Length P of the model's vector."""
        return int(self.start.size)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Where each block starts, and the steps' values there, float64 (n, B)."""
        values = max(1, BLOCK_VALUES // self.clinics // CHUNK) * CHUNK
        for start, models in self.models(values):
            place = slice(start, start + models.shape[1])
            steps = models.astype(np.float64) - self.start[place]
            yield start, steps * self.factors[:, self.parts[place]]

    def scales(self, start: int, values: int) -> Floats:
        """What the values at a place are multiplied by where steps are compared, (B,).

        It is 1 over the lower median norm of their part: running variances change by other numbers than
        weights, and would decide all distances.
        """
        medians = np.array([lower_median(part) for part in (self.norms * self.factors).T])
        scales = np.divide(1.0, medians, out=np.zeros(len(medians)), where=medians > 0)
        found: Floats = scales[self.parts[start : start + values]]
        return found
