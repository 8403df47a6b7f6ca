"""Encode clinical metadata M_i (age, sex, body site) for the model's optional second input."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.record import LesionRecord

SEXES = ("female", "male")

# How the words that name a region begin, in ISIC's and HAM10000's vocabularies.
BODY_REGIONS = {
    "head_neck": ("head", "forehead", "neck", "face", "scalp", "ear", "nose", "lip"),
    "trunk": ("trunk", "torso", "back", "abdomen", "chest"),
    "upper_extremity": ("upper", "arm", "forearm", "shoulder"),
    "lower_extremity": ("lower", "leg", "thigh"),
    "palms_soles": ("palm", "sole", "hand", "foot", "acral"),
    "oral_genital": ("oral", "genital"),
}

# Age and whether it is known, one indicator a sex and a region; all zero means unknown.
METADATA_FEATURES = 2 + len(SEXES) + len(BODY_REGIONS)


def encode_metadata(records: Sequence[LesionRecord]) -> NDArray[np.float32]:
    """Encode each record's metadata.

    Returns:
        float32 (N, M): age / 100 and 1 if known (else 0, 0), then indicators for sex and region.
    """
    return np.array([_encode(record) for record in records], np.float32).reshape(-1, METADATA_FEATURES)


def _encode(record: LesionRecord) -> list[float]:
    age = [0.0, 0.0] if record.age is None else [record.age / 100, 1.0]
    sexes = [float(record.sex == sex) for sex in SEXES]
    region = body_region(record.body_site)
    return [*age, *sexes, *(float(region == name) for name in BODY_REGIONS)]


def body_region(body_site: str | None) -> str | None:
    """Return the name in BODY_REGIONS of a body site in a source's words, or ``None``.

    Example:
        "lower back" is the trunk: of the regions that its words name, the trunk comes first in BODY_REGIONS.
    """
    words = re.findall("[a-z]+", (body_site or "").lower())
    return next(
        (name for name, starts in BODY_REGIONS.items() if any(word.startswith(starts) for word in words)),
        None,
    )
