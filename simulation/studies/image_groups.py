"""A run's test images by group of patients, with the skin tone measured from the images themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.decoding import read_image, read_mask
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.fairness.groups import AGES, REGIONS, age_group, body_site_group, sex
from dermafed.shared.metrics.fairness.skin_tone import THIRDS, TONES, thirds, tone, typology_angle
from dermafed.shared.model.metadata import SEXES
from dermafed.shared.process import cores
from dermafed.simulation.runs.results import TestImages

Angles = dict[str, float]
Groups = list[str | None]

ORDER = {
    "age": tuple(AGES),
    "sex": SEXES,
    "body site": REGIONS,
    "clinic": (),
    "skin tone": tuple(TONES),
    "skin tone within the clinic": THIRDS,
}
"""The attributes of the groups, with the groups in order; clinics have no order of their own."""


def measure_angles(records: Iterable[LesionRecord]) -> Angles:
    """The typology angle of each image file, NaN where hardly any skin is visible.

    Args:
        records: the images; a path may be repeated.

    Raises:
        ImageError: an image or a mask can no longer be read.
    """
    by_path = {str(record.path): record for record in records}
    with ThreadPoolExecutor(cores()) as pool:
        return dict(zip(by_path, pool.map(_angle, by_path.values()), strict=True))


def _angle(record: LesionRecord) -> float:
    mask = None if record.mask is None else read_mask(record.mask)
    angle = typology_angle(read_image(record.path), mask)
    return np.nan if angle is None else angle


def groups_of(tests: TestImages, angles: Angles) -> dict[str, Groups]:
    """The group of each test image, clinic by clinic, for everything in ORDER."""
    clinics = [(tests.names[folder], records) for folder, records in tests.records.items()]
    records = [record for _, own in clinics for record in own]
    by_clinic = [_angles(own, angles) for _, own in clinics]
    return {
        "age": [age_group(record) for record in records],
        "sex": [sex(record) for record in records],
        "body site": [body_site_group(record) for record in records],
        "clinic": [name for name, own in clinics for _ in own],
        "skin tone": [None if np.isnan(a) else tone(a) for own in by_clinic for a in own],
        "skin tone within the clinic": [third for own in by_clinic for third in thirds(own)],
    }


def _angles(records: Sequence[LesionRecord], angles: Angles) -> NDArray[np.float64]:
    return np.array([angles[str(record.path)] for record in records])
