"""Weights with which no group of patients has more of a class than another (Kamiran and Calders 2012)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.fairness.groups import UNKNOWN, age_group, sex, site_group

GROUPINGS = {"age": age_group, "sex": sex, "site": site_group}


def group_weights(
    records: Sequence[LesionRecord], labels: NDArray[np.int64], grouping: str
) -> NDArray[np.float32]:
    """What each training image weighs, so that group and class are independent.

    Args:
        records: the images.
        labels: their classes' indices (N,).
        grouping: one of GROUPINGS, or ``none``. Images whose group is not known are a group of their own.

    Returns:
        n_g n_y / (n n_gy) of each image's group g and class y, float32 (N,); 1 for ``none``.

    Example:
        Of 4 women one has melanoma, of 4 men three: the woman's melanoma weighs 4 * 4 / (8 * 1) = 2, a man's
        4 * 4 / (8 * 3) = 2/3, so that melanoma makes half of the weight of both.
    """
    if grouping == "none":
        return np.ones(len(records), np.float32)
    names = [GROUPINGS[grouping](record) or UNKNOWN for record in records]
    _, groups, of_group = np.unique(names, return_inverse=True, return_counts=True)
    of_class = np.bincount(labels)
    both = np.zeros((of_group.size, of_class.size))
    np.add.at(both, (groups, labels), 1)
    weights = of_group[groups] * of_class[labels] / (len(records) * both[groups, labels])
    return np.asarray(weights, np.float32)
