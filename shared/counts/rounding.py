"""Counts as they leave a clinic: rounded down to steps of five, one hidden where the total tells too much.

Of a table whose cells make up a published total, a rounded cell c is known to be in [c, c + 4], and so is
the total. Where the cells' largest sum hardly reaches the total, all cells are known, small ones too: of 14,
9 and 4, shown as 10, 5 and 0 of 25, none can be much less. So of k cells one is hidden where the total is h
or more steps above what is shown of them, with 5 h <= 4 k - 3 (complementary suppression, as
:mod:`dermafed.shared.metrics.fairness.disclosure` does it for exact counts). Who knows this rule knows of a
small cell that it is 5 h - 4 (k - 1) <= 1 or more: it may still be 1 to 4. The largest cell is the one that
is hidden; were it the smallest, the others would bound it from above.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.fairness.disclosure import FEWEST_IMAGES, FEWEST_OF_CLASS, LEAST_RANGE

Ints = NDArray[np.int64]
Booleans = NDArray[np.bool_]

STEP = FEWEST_OF_CLASS
"""Counts are multiples of it; 0 means few: fewer, or of fewer patients."""

FEWEST = FEWEST_IMAGES
"""Nothing is told of fewer in all."""

HIDDEN = -1
"""In place of a count that would give others away."""

LARGEST = 10**7
"""No clinic has more of anything."""


def rounded_down(count: int) -> int:
    """The largest multiple of STEP that is not above a count."""
    return count // STEP * STEP


def publish(counts: Ints, small: Booleans) -> Ints:
    """A table's counts as they may be told, beside their sum, rounded down.

    Whatever is known of the other cells, and of this rule, LEAST_RANGE or more lies between the least and the
    most that a small cell can be.

    Args:
        counts: of each cell, int64 (G,); each lesion is in one cell.
        small: cells of which nothing may be told, bool (G,): those of fewer than STEP patients.

    Returns:
        Multiples of STEP, 0 in small cells, and HIDDEN in at most one, int64 (G,).

    Raises:
        DatasetError: all cells are small, and their total would give them away.

    Example:
        14, 9, 4: the total of 27 is told as 25, two steps above 10 + 5 + 0. So the largest is hidden: HIDDEN,
        5, 0.
    """
    shown = np.where(small, 0, counts // STEP * STEP)
    steps = (rounded_down(int(counts.sum())) - int(shown.sum())) // STEP
    if steps >= ((STEP - 1) * shown.size - LEAST_RANGE) // STEP:
        if not shown.any():
            raise DatasetError(
                "All groups are small, and their total would give them away",
                remedy="Ask again with more data",
            )
        shown[shown.argmax()] = HIDDEN
    return shown


def is_published(shown: Ints, total: int) -> bool:
    """Whether a table may be told beside a rounded total; of its cells one may be hidden, or all."""
    cells, hidden = shown[shown != HIDDEN], (shown == HIDDEN).sum()
    steps = (cells >= 0).all() and not (cells % STEP).any()
    return bool(steps and hidden in (0, 1, shown.size) and cells.sum() <= total <= LARGEST)


def text(count: int) -> str:
    """A published count in words: ``20 to 24``, ``few`` or ``hidden``."""
    if count == HIDDEN:
        return "hidden"
    return f"{count} to {count + STEP - 1}" if count else "few"
