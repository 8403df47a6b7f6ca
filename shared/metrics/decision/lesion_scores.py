"""From images to lesions: a decision is about a lesion, and images of one lesion are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.shared.metrics.evaluation import checked_predictions

MELANOMA = "melanoma"
"""The class that a clinic is alerted to."""


@dataclass(frozen=True, slots=True, eq=False)
class LesionScores:
    """The lesions of a validation or test set.

    A lesion with several images has the highest score that any of them has, class by class: a clinician is
    alerted when one image alerts. So scores of a lesion need not sum to 1.

    Attributes:
        labels: int64 (L,), the true class; melanoma where any image is labelled so, else the first image's.
        scores: float64 (L, C) in [0, 1].
        melanoma: index of the class of melanoma.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    melanoma: int

    @property
    def is_melanoma(self) -> NDArray[np.bool_]:
        """Whether each lesion is a melanoma, bool (L,)."""
        return np.asarray(self.labels == self.melanoma)


def lesion_scores(
    labels: ArrayLike, probabilities: ArrayLike, melanoma: int, groups: Sequence[str] | None = None
) -> LesionScores:
    """Take a lesion's images together.

    Args:
        labels: int (N,), indices of the true classes.
        probabilities: float (N, C) in [0, 1], rows sum to 1.
        melanoma: index of the class of melanoma.
        groups: lesion of each image (N); ``None``: every image is a lesion of its own.

    Raises:
        DatasetError: there is no image.
        ValueError: the arrays do not fit each other, or contain NaN.

    Example:
        Two images of one melanoma that score 0.2 and 0.7: one lesion, found at a threshold of 0.7.
    """
    truth, scores = checked_predictions(labels, probabilities, np.shape(probabilities)[-1])
    if groups is not None and len(groups) != truth.size:
        raise ValueError(f"{len(groups)} groups for {truth.size} images")
    names = np.arange(truth.size) if groups is None else np.asarray(groups)
    _, first, lesion = np.unique(names, return_index=True, return_inverse=True)
    of_lesion = truth[first]
    of_lesion[lesion[truth == melanoma]] = melanoma
    highest = np.zeros((first.size, scores.shape[1]))
    np.maximum.at(highest, lesion, scores)
    return LesionScores(of_lesion, highest, melanoma)
