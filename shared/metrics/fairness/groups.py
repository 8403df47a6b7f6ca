"""The groups that a model is judged on: of a record by age, sex and body site."""

from __future__ import annotations

import math

from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.metadata import SEXES, SITES, body_region

UNKNOWN = "not known"

AGES = {"under 30": 30, "30 to 44": 45, "45 to 59": 60, "60 to 74": 75, "75 and over": math.inf}
"""Age groups, each with the age in years that it ends below."""

REGIONS = tuple(name.replace("_", " ") for name in SITES)


def age_group(record: LesionRecord) -> str | None:
    """The name in AGES of the patient's age, or ``None``."""
    age = record.age
    return None if age is None else next(name for name, end in AGES.items() if age < end)


def sex(record: LesionRecord) -> str | None:
    """Female, male, or ``None``."""
    return record.sex if record.sex in SEXES else None


def site_group(record: LesionRecord) -> str | None:
    """The name in REGIONS of the lesion's body site, or ``None``."""
    region = body_region(record.site)
    return None if region is None else region.replace("_", " ")
