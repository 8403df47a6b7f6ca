"""Lesions whose counts are worked out by hand."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.counts.lesion_counts import LesionCounts
from dermafed.shared.lesions.record import LesionRecord


def lesions(label: str, count: int, patient: str = "", **known: object) -> list[LesionRecord]:
    """Lesions of an image each, of a patient each unless one is named."""
    return [
        LesionRecord(
            f"{label}-{number}",
            Path(f"{label}-{number}.jpg"),
            label,
            lesion_id=f"{label} {number}",
            patient_id=patient or f"patient of {label} {number}",
            **known,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


def sample_records() -> list[LesionRecord]:
    """30 nevi of women, 12 melanomas and 9 carcinomas of men, the latter of one man, and 3 warts."""
    woman = {"sex": "female", "age": 34.0, "body_site": "lower back"}
    records = lesions("NV", 18, **woman)
    records += lesions("nevus, blue", 12, attributes={"fitspatrick": "2.0"}, **woman)
    records += lesions("melanoma", 12, sex="male", age=67.0, body_site="face")
    records += lesions("bcc", 9, "somebody", sex="male", age=91.0, body_site="left forearm")
    return records + lesions("wart", 3)


def sample_counts() -> LesionCounts:
    return LesionCounts.of(sample_records())
