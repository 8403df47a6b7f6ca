"""A clinic's own change of a round's model, until the round's new model comes, beside which it is laid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Context
from numpy.typing import ArrayLike

from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.summed import whole_change
from dermafed.shared.training.trainer import FloatVector


@dataclass
class LastChanges:
    """Of each clinic in this process the last change, in memory only: two vectors a clinic."""

    _last: dict[int, tuple[int, FloatVector, FloatVector]] = field(default_factory=dict)

    def note(
        self, context: Context, asked: Instruction | None, values: Mapping[str, ArrayLike]
    ) -> dict[str, Any]:
        """What the transcript says of the model that values were asked for with.

        Args:
            context: tells which clinic is meant.
            asked: the model; ``None``: of no model.
            values: the values that go into the sum.

        Returns:
            ``weights``: SHA-256 of the model; after a training in the same round also ``moved``: by how much
            the model moved a weight at most, and ``cosine``: between its step and this clinic's own.
        """
        if asked is None:
            return {}
        found: dict[str, Any] = {"weights": asked.model}
        if "change" in values:
            change = whole_change(asked, values).astype(np.float32)
            self._last[context.node_id] = asked.round, asked.weights, change
        elif (last := self._last.pop(context.node_id, None)) is not None and last[0] == asked.round:
            found |= _compared(asked.weights - last[1], last[2])
        return found


def _compared(step: FloatVector, change: FloatVector) -> dict[str, Any]:
    norms = float(np.linalg.norm(step)) * float(np.linalg.norm(change))
    cosine = float(step.astype(np.float64) @ change) / norms if norms else None
    return {"moved": float(np.abs(step).max(initial=0.0)), "cosine": cosine}
