"""Three clinics that differ: in size, in cameras, in patients and in what they are sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from dermafed.simulation.synthetic.camera import Camera


@dataclass(frozen=True)
class ClinicProfile:
    """Where images come from.

    Attributes:
        name: the value of the manifest's ``clinic`` column.
        images: how many.
        class_mix: share of melanoma, nevus and seborrheic keratosis, in the order of
            :data:`dermafed.shared.lesions.record.PAPER_CLASSES`; scaled to add up to 1.
        phototypes: share of each of Fitzpatrick's six skin types; scaled to add up to 1.
        older: years by which its patients are older than usual.
        camera: what it photographs with.
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
