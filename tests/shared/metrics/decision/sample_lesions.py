"""Lesions with known distributions of scores: a melanoma's is Beta(3, 2), another lesion's Beta(2, 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.score_counts import ScoreCounts

MELANOMAS = beta(3, 2)
OTHERS = beta(2, 4)


def counts_of(
    melanomas: list[float] | NDArray[np.float64], others: list[float] | NDArray[np.float64]
) -> ScoreCounts:
    """The counts of lesions with these scores."""
    return ScoreCounts.of_lesions(two_classes(np.asarray(melanomas, float), np.asarray(others, float)))


def two_classes(melanomas: NDArray[np.float64], others: NDArray[np.float64]) -> LesionScores:
    scores = np.concatenate([melanomas, others])
    labels = np.repeat([0, 1], [melanomas.size, others.size])
    return LesionScores(labels, np.stack([scores, 1 - scores], axis=1), 0)


def drawn(melanomas: int, others: int, seed: int = 0) -> ScoreCounts:
    rng = np.random.default_rng(seed)
    return counts_of(MELANOMAS.rvs(melanomas, random_state=rng), OTHERS.rvs(others, random_state=rng))
