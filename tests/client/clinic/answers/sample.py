"""Diagnoses to answer with."""

from __future__ import annotations

from dataclasses import replace

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate, ModelUsed
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import Caution
from tests.client.clinic.dicom.dicom_objects import draw_jpeg, encapsulated

PLAIN = Diagnosis(
    id="0123456789abcdef0123456789abcdef",
    time="2026-03-04T05:06:07.089+00:00",
    device="camera-1",
    request="visit-7",
    image_sha256="ab" * 32,
    clinical=Clinical(age=54, sex="female", site="back"),
    probabilities={"melanoma": 0.0312, "nevus": 0.9, "seborrheic_keratosis": 0.0688},
    prediction="nevus",
    unsure=None,
    outside=None,
    outside_score=None,
    cautions=(),
    model=ModelUsed("spring <run> & more", 3, "cd" * 32),
    seconds=0.12,
)

DOUBTED = replace(
    PLAIN,
    id="fedcba9876543210fedcba9876543210",
    request=None,
    probabilities={"melanoma": 1e-7, "dermatofibroma": 0.4999999, "bcc": 0.5},
    prediction="bcc",
    unsure=True,
    outside=True,
    outside_score=-12.5,
    cautions=(Caution("blur", "The image is blurred."), Caution("ink", "There is ink on the skin.")),
)

ALERTED = replace(
    PLAIN,
    id="00112233445566778899aabbccddeeff",
    alert=True,
    alert_threshold=0.02,
    miss_rate=MissRate(0.05, 0.0127, 0.1397, 60, "At most 10% of melanomas are missed"),
    possible=("melanoma", "nevus"),
)


def _reference() -> str:
    came = encapsulated(draw_jpeg())
    del came.PixelData
    return came.to_json()


REFERENCE = _reference()
