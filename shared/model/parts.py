"""The parts of a model's flat vector that a server screens apart: it knows them without Keras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PARTS = ("weights", "means", "variances")
"""Trained weights (and frozen ones), batch normalisation's moving means, and its moving variances."""

WEIGHTS, MEANS, VARIANCES = range(len(PARTS))

Parts = NDArray[np.uint8]
"""For each value of the flat vector its part, an index of :data:`PARTS`: uint8 (P,)."""


def parts_without_layout(adapted: NDArray[np.bool_]) -> Parts:
    """The parts where only this is known: what the strategy does not step on counts as means.

    Runs of version 0.1.0 saved no more; the signs of their variances are not checked.
    """
    return np.where(adapted, WEIGHTS, MEANS).astype(np.uint8)
