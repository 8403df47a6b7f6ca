"""Class-conditional conformal sets: the diagnoses that remain possible.

A set has every class whose score is at or above that class's own threshold. Each is calibrated on the
lesions of its class alone (Mondrian conformal prediction, Vovk 2012), so the true diagnosis is in the set
with at least the stated chance whatever it is, melanoma included, and not only over all lesions together.
Among n lesions of a class the threshold is the score of rank floor((n + 1) * share), from below, where the
share is what may be left out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.promise import MOST_MISSED

Floats = NDArray[np.float64]


def set_thresholds(lesions: LesionScores, left_out: float = MOST_MISSED) -> Floats:
    """The threshold of each class, float64 (C,).

    A class with too few lesions to leave any out has the threshold 0: it is in every set.

    Args:
        lesions: of a validation set.
        left_out: share of the lesions of each class whose set may lack it, in (0, 1).

    Example:
        9 lesions of a class and a share of 0.1: (9 + 1) * 0.1 = 1, the lowest of the 9 scores.
    """
    classes = lesions.scores.shape[1]
    return np.array([_threshold(lesions.scores[lesions.labels == c, c], left_out) for c in range(classes)])


def _threshold(scores: Floats, left_out: float) -> float:
    rank = math.floor((scores.size + 1) * left_out + 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank else 0.0


def conformal_set(scores: Floats, thresholds: Floats) -> NDArray[np.bool_]:
    """Which classes are in the set of a lesion, bool (C,) or (L, C).

    Args:
        scores: of its image, or the highest of its images, (C,) or (L, C).
        thresholds: from :func:`set_thresholds`.
    """
    return np.asarray(scores >= thresholds)
