"""A threshold for a clinic with few melanomas: its own risk curve, shrunk to that of all clinics together.

A threshold chosen on all clinics' images together misses too many melanomas at some of them, and one chosen
on few of a clinic's own is useless. So the share of missed melanomas at each threshold is a weighted mean of
both (arXiv:2606.20115),

    r(t) = (n r_own(t) + n0 r_all(t)) / (n + n0),

with n of the clinic's own melanomas, and the threshold is the highest with (n + n0) / (n + n0 + 1) r(t) +
1 / (n + n0 + 1) at most the share that may be missed (conformal risk control, Angelopoulos et al. 2024,
arXiv:2208.02814). This holds the miss rate on average over clinics that are like these ones. It is no promise
of one clinic.
"""

from __future__ import annotations

import numpy as np

from dermafed.shared.metrics.decision.promise import MOST_MISSED
from dermafed.shared.metrics.decision.score_counts import ScoreCounts

STRENGTH = 19
"""n0: as many melanomas as the clinics' common curve counts for."""


def shrunk_threshold(
    own: ScoreCounts, together: ScoreCounts, most_missed: float = MOST_MISSED, strength: float = STRENGTH
) -> float | None:
    """The highest threshold with a shrunk miss rate, corrected for its number of melanomas, within a share.

    Args:
        own: of the clinic; it may have no melanoma.
        together: of all clinics, at the same thresholds (of bins).
        most_missed: share of melanomas that are missed at most, in (0, 1).
        strength: n0, at least 0.

    Returns:
        The threshold; ``None`` where no clinic has a melanoma, or even the lowest threshold does not suffice.

    Raises:
        ValueError: the thresholds differ.
    """
    if not np.array_equal(own.thresholds, together.thresholds):
        raise ValueError("the counts are not at the same thresholds")
    if not together.melanomas:
        return None
    weight = own.melanomas + strength
    shrunk = own.missed + strength * together.missed / together.melanomas
    kept = np.flatnonzero((shrunk + 1) / (weight + 1) <= most_missed)
    return float(own.thresholds[kept[-1]]) if kept.size else None
