"""Clinical metadata M_i (age, sex, body site) as features of the model's optional second input."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.record import LesionRecord

SEXES = ("female", "male")

# How words that name a region begin, in ISIC's and HAM10000's vocabularies.
SITES = {
    "head_neck": ("head", "forehead", "neck", "face", "scalp", "ear", "nose", "lip"),
    "trunk": ("trunk", "torso", "back", "abdomen", "chest"),
    "upper_extremity": ("upper", "arm", "forearm", "shoulder"),
    "lower_extremity": ("lower", "leg", "thigh"),
    "palms_soles": ("palm", "sole", "hand", "foot", "acral"),
    "oral_genital": ("oral", "genital"),
}

# Age and whether it is known, one indicator a sex and a region; all zero means unknown.
METADATA_FEATURES = 2 + len(SEXES) + len(SITES)


def encode_metadata(records: Sequence[LesionRecord]) -> NDArray[np.float32]:
    """Encodes each record's metadata.

    Returns:
        float32 (N, M): age / 100 and 1 if known (else 0, 0), then indicators for sex and region.
    """
    return np.array([_encode(record) for record in records], np.float32).reshape(-1, METADATA_FEATURES)


def _encode(record: LesionRecord) -> list[float]:
    age = [0.0, 0.0] if record.age is None else [record.age / 100, 1.0]
    region = body_region(record.site)
    return [*age, *(float(record.sex == sex) for sex in SEXES), *(float(region == name) for name in SITES)]


def body_region(site: str | None) -> str | None:
    """The region of SITES that a site in a source's words belongs to, if any.

    Example:
        "lower back" is the trunk: of the regions that its words name, the trunk comes first in SITES.
    """
    words = re.findall("[a-z]+", (site or "").lower())
    return next((name for name, starts in SITES.items() if any(w.startswith(starts) for w in words)), None)
