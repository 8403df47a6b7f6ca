"""What a model file says of the images that a run trained on."""

from __future__ import annotations

import hashlib
from typing import Any

from dermafed.simulation.runs.prepare import Prepared


def model_data(prepared: Prepared) -> dict[str, Any]:
    """Counts, and a digest of the image names on each side: identifies a data set without its images."""
    digest = hashlib.sha256()
    for clinic in prepared.clinics:
        for side, records in clinic.splits.sides().items():
            names = "\n".join(sorted(record.image_id for record in records))
            digest.update(f"{clinic.name}\0{side}\0{names}\0".encode())
    classes = prepared.class_map.names
    counts = {clinic.name: clinic.images_per_class(classes) for clinic in prepared.clinics}
    trained = [record for clinic in prepared.clinics for record in clinic.splits.train]
    labels = [record.label for record in trained]
    training = {name: labels.count(name) for name in classes}
    found = {"clinics": counts, "training_images": training, "sha256": digest.hexdigest()}
    return {**found, "synthetic": True} if all(record.drawn for record in trained) else found
