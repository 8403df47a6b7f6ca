"""Cells whose features tell how much of them is lesion."""

from __future__ import annotations

from typing import Any

import numpy as np

from dermafed.shared.lesion_finder.finder_sums import FinderSums

Array = np.ndarray[Any, Any]
GRID, FEATURES = 4, 9


def cells_and_shares(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Features (N, G, G, K) with noise, the last of which is 3 everywhere, and shares (N, G, G)."""
    rng = np.random.default_rng(seed)
    shares = np.clip(rng.normal(0.4, 0.5, (count, GRID, GRID)), 0, 1).astype(np.float32)
    cells = rng.normal(5, 2, (count, GRID, GRID, FEATURES)) + shares[..., None] * np.arange(FEATURES)
    cells[..., -1] = 3
    return cells.astype(np.float32), shares


def sums_of(count: int, seed: int = 0) -> FinderSums:
    """The sums of so many images."""
    return FinderSums.of(*cells_and_shares(count, seed))
