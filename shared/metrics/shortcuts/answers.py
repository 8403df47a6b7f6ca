"""A model's answers to the question whether a lesion is a melanoma.

An answer is "melanoma" or "benign", by the clinic's alert or by the most probable class. A lesion with
several images is answered "melanoma" when one image is, and has the highest score of its images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

LEAST = 1e-7
"""Probabilities nearer to 0 or 1 than this are taken for this: nothing is that certain."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A model's answers for L lesions.

    Attributes:
        melanoma: whether each is answered "melanoma", bool (L,).
        scores: log-odds of melanoma, float64 (L,).
    """

    melanoma: Booleans
    scores: Floats

    @classmethod
    def of_images(cls, melanoma: Booleans, scores: Floats, lesions: Sequence[str]) -> Answers:
        """Take the images of each lesion together; the lesions come in the order of their names."""
        names, lesion = np.unique(np.asarray(lesions), return_inverse=True)
        answered, highest = np.zeros(names.size, bool), np.full(names.size, -np.inf)
        np.logical_or.at(answered, lesion, melanoma)
        np.maximum.at(highest, lesion, scores)
        return cls(answered, highest)


def log_odds(probabilities: NDArray[np.floating[Any]], index: int) -> Floats:
    """Log-odds of one class against all others, in nats.

    Args:
        probabilities: (N, C) in [0, 1].
        index: of the class.

    Returns:
        float64 (N,), finite.
    """
    exact = probabilities.astype(np.float64)
    own, others = exact[:, index], np.delete(exact, index, axis=1).sum(axis=1)
    return np.asarray(np.log(np.maximum(own, LEAST)) - np.log(np.maximum(others, LEAST)))
