"""A year of a served model."""

from __future__ import annotations

import numpy as np

from dermafed.shared.counts.monthly_counts import KINDS, MONTHS, Expected, MonthlyCounts

MARCH = 12 * 2027 + 2
EXPECTED = Expected(0.05, 0.08, 0.12)


def sample_months(
    last: int = MARCH, answers: int = 40, **changed: tuple[int, int, int, int]
) -> MonthlyCounts:
    """The same each month, 17 alerts among the answers, but for months that are named, as ``m3``."""
    counts = np.tile(np.array([answers, 17, 11, 6], np.int64), (MONTHS, 1))
    for name, row in changed.items():
        counts[int(name[1:]) - 1] = row
    assert counts.shape[1] == len(KINDS)
    return MonthlyCounts(last, counts, counts.sum(axis=0), EXPECTED)
