"""What a simulation's model says of the images that it was trained on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dermafed.client.clinic.http.model_facts import TrainedOn, trained_on
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.model_data import model_data


def of(prefix: str) -> dict[str, Any]:
    """Two clinics with 2 training images of melanoma and 1 of nevus each, and others on the other sides."""
    records = [
        LesionRecord(f"{prefix}{number}", Path(str(number)), label)
        for number, label in enumerate(["melanoma", "nevus", "melanoma", "nevus", "nevus", "melanoma"])
    ]
    splits = Splits(tuple(records[:3]), tuple(records[3:5]), tuple(records[5:]))
    clinics = [ClinicSplit(name, splits) for name in ("graz", "linz")]
    prepared: Any = SimpleNamespace(clinics=clinics, class_map=SimpleNamespace(names=("melanoma", "nevus")))
    return model_data(prepared)


def test_only_training_images_are_counted_as_such() -> None:
    data = of("ISIC_")
    assert data["training_images"] == {"melanoma": 4, "nevus": 2}
    assert data["clinics"]["linz"] == {"melanoma": 3, "nevus": 3}
    assert trained_on(data) == TrainedOn(("graz", "linz"), 6)
    del data["training_images"]  # as version 0.1.0 wrote it
    assert trained_on(data) == TrainedOn(("graz", "linz"), 12, apart=False)


def test_drawn_images_are_known_by_their_names() -> None:
    assert of("SYN_L")["synthetic"] is True
    assert "synthetic" not in of("ISIC_")
