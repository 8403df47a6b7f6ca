"""Who has the lesion, and where: age, sex and body site, as complete as real records are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.shared.lesions.record import PAPER_CLASSES

# Mean and standard deviation of the age, in years, by class, as in HAM10000 (Tschandl et al. 2018).
_AGES = dict(zip(PAPER_CLASSES, ((61, 15), (47, 14), (66, 13)), strict=True))
_SITES = (
    "back",
    "trunk",
    "lower extremity",
    "upper extremity",
    "abdomen",
    "face",
    "chest",
    "neck",
    "scalp",
    "foot",
)
_SITE_SHARES = dict(
    zip(
        PAPER_CLASSES,
        (
            (0.28, 0.10, 0.17, 0.17, 0.09, 0.09, 0.05, 0.02, 0.02, 0.01),
            (0.20, 0.24, 0.22, 0.11, 0.13, 0.01, 0.03, 0.01, 0.01, 0.04),
            (0.22, 0.10, 0.13, 0.11, 0.08, 0.24, 0.05, 0.04, 0.03, 0.00),
        ),
        strict=True,
    )
)
_MISSING = 0.04


@dataclass(frozen=True)
class Patient:
    """Clinical metadata; ``""`` where the record has none."""

    age: str
    sex: str
    site: str


def draw_patient(diagnosis: str, older: float, rng: np.random.Generator) -> Patient:
    """A patient with this diagnosis.

    Args:
        diagnosis: one of :data:`dermafed.shared.lesions.record.PAPER_CLASSES`.
        older: years to add to the usual age.
        rng: source of randomness.

    Returns:
        The age in steps of five years, the sex and the site, each missing now and then.
    """
    mean, deviation = _AGES[diagnosis]
    age = 5 * round(min(max(rng.normal(mean + older, deviation), 10), 85) / 5)
    sex = "male" if rng.random() < 0.54 else "female"
    site = _SITES[rng.choice(len(_SITES), p=_SITE_SHARES[diagnosis])]
    known = rng.random(3) >= _MISSING
    return Patient(
        *(value if there else "" for value, there in zip((str(age), sex, site), known, strict=True))
    )
