"""Profiles of three clinics with different sizes, cameras, patients and diagnoses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.simulation.synthetic.camera import Camera

# Mean and standard deviation of the age, in years, by class, as in HAM10000 (Tschandl et al. 2018).
_AGES = dict(zip(PAPER_CLASSES, ((61, 15), (47, 14), (66, 13)), strict=True))
_BODY_SITES = (
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
_BODY_SITE_SHARES = dict(
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
class ClinicProfile:
    """A clinic's images.

    Attributes:
        name: the value of the manifest's ``clinic`` column.
        images: number of images.
        class_mix: share of melanoma, nevus and seborrheic keratosis, in the order of
            :data:`dermafed.shared.lesions.record.PAPER_CLASSES`; scaled to add up to 1.
        phototypes: share of each of Fitzpatrick's six skin types; scaled to add up to 1.
        older: years by which its patients are older than usual.
        camera: its camera.
    """

    name: str
    images: int
    class_mix: tuple[float, float, float]
    phototypes: tuple[float, float, float, float, float, float]
    older: float = 0.0
    camera: Camera = field(default_factory=Camera)


DEFAULT_CLINICS = (
    ClinicProfile(
        "university_hospital",
        images=560,
        class_mix=(0.18, 0.64, 0.18),
        phototypes=(0.14, 0.34, 0.28, 0.14, 0.06, 0.04),
        older=-4,
        camera=Camera(white_balance=(1.0, 0.97, 0.95), saturation=1.04, noise=0.008, vignette=0.10),
    ),
    ClinicProfile(
        "melanoma_centre",
        images=300,
        class_mix=(0.56, 0.26, 0.18),
        phototypes=(0.30, 0.45, 0.20, 0.05, 0.0, 0.0),
        older=3,
        camera=Camera(
            white_balance=(0.92, 0.98, 1.02),
            saturation=0.85,
            gamma=0.9,
            magnification=1.2,
            blur=0.004,
            noise=0.006,
            vignette=0.05,
            immersion=0.3,
            jpeg_quality=95,
        ),
    ),
    ClinicProfile(
        "rural_practice",
        images=140,
        class_mix=(0.12, 0.42, 0.46),
        phototypes=(0.06, 0.20, 0.32, 0.24, 0.12, 0.06),
        older=7,
        camera=Camera(
            white_balance=(0.94, 0.87, 0.72),
            saturation=0.8,
            gamma=1.12,
            magnification=0.82,
            blur=0.011,
            noise=0.022,
            vignette=0.4,
            tube=0.4,
            glare=0.3,
            ruler=0.2,
            jpeg_quality=60,
        ),
    ),
)


@dataclass(frozen=True)
class Patient:
    """Clinical metadata; ``""`` for a missing value."""

    age: str
    sex: str
    body_site: str


def draw_patient(diagnosis: str, older: float, rng: np.random.Generator) -> Patient:
    """A patient with this diagnosis.

    Args:
        diagnosis: one of :data:`dermafed.shared.lesions.record.PAPER_CLASSES`.
        older: years to add to the usual age.
        rng: the random generator.

    Returns:
        The age in steps of five years, the sex and the body site, each missing with a small probability.
    """
    mean, deviation = _AGES[diagnosis]
    age = 5 * round(min(max(rng.normal(mean + older, deviation), 10), 85) / 5)
    sex = "male" if rng.random() < 0.54 else "female"
    body_site = _BODY_SITES[rng.choice(len(_BODY_SITES), p=_BODY_SITE_SHARES[diagnosis])]
    known = rng.random(3) >= _MISSING
    return Patient(
        *(value if there else "" for value, there in zip((str(age), sex, body_site), known, strict=True))
    )
