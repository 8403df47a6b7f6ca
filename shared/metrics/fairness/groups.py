"""Groups of patients by age, sex and body site, and weights that balance them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.metadata import BODY_REGIONS, SEXES, body_region

UNKNOWN = "not known"

AGES = {"under 30": 30, "30 to 44": 45, "45 to 59": 60, "60 to 74": 75, "75 and over": math.inf}
"""Age groups, each with the age in years that it ends below."""

REGIONS = tuple(name.replace("_", " ") for name in BODY_REGIONS)


def age_group(record: LesionRecord) -> str | None:
    """The name in AGES of the patient's age, or ``None``."""
    age = record.age
    return None if age is None else next(name for name, end in AGES.items() if age < end)


def sex(record: LesionRecord) -> str | None:
    """Female, male, or ``None``."""
    return record.sex if record.sex in SEXES else None


def body_site_group(record: LesionRecord) -> str | None:
    """The name in REGIONS of the lesion's body site, or ``None``."""
    region = body_region(record.body_site)
    return None if region is None else region.replace("_", " ")


GROUPINGS = {"age": age_group, "sex": sex, "site": body_site_group}


def group_weights(
    records: Sequence[LesionRecord], labels: NDArray[np.int64], grouping: str
) -> NDArray[np.float32]:
    """Weight of each training image, so that group and class are independent (Kamiran and Calders 2012).

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
