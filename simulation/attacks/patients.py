"""One image of each patient of a run's clinics, as the attacks need it: its features and a small picture."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.patients import patient_groups
from dermafed.shared.process import cores
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.attacks.exposure import Floats
from dermafed.simulation.attacks.inversion import SIDE
from dermafed.simulation.runs.run_settings import RunSettings


@dataclass(frozen=True, eq=False)
class Patients:
    """An image of each patient of all clinics.

    Attributes:
        features: what the last layer reads, float32 (N, K).
        labels: int64 (N,).
        clinics: number of the clinic of each, int64 (N,).
        pictures: the image at few pixels, float64 (N, SIDE, SIDE, 3) in [0, 1].
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    clinics: NDArray[np.int64]
    pictures: Floats

    @classmethod
    def load(cls, path: Path) -> Patients:
        """Read what :func:`save_patients` wrote."""
        with np.load(path) as file:
            return cls(**{name: file[name] for name in ("features", "labels", "clinics", "pictures")})


@dataclass(frozen=True)
class Source:
    """Where the patients are.

    Attributes:
        settings: of the run.
        classes: its classes.
        folders: its clinics' split folders.
        path: the file to write.
    """

    settings: RunSettings
    classes: tuple[str, ...]
    folders: tuple[Path, ...]
    path: Path


def save_patients(source: Source) -> None:
    """Computes the features by the run's first network and saves the patients; for a process of its own."""
    # Imported here, so that the waiting process never loads TensorFlow.
    import cv2

    from dermafed.shared.model.image_features import features_network
    from dermafed.shared.model.initial_weights import initial_classifier
    from dermafed.shared.training.backend import configure_backend
    from dermafed.shared.training.data import load_labelled
    from dermafed.shared.training.frozen_views import saved_features

    configure_backend(cores())
    plan = source.settings.plan(source.classes, (1,) * len(source.classes), cores())
    first = initial_classifier(plan.model, source.settings.weights, seed=plan.seed)
    network = features_network(first)
    found: dict[str, list[NDArray[np.generic]]] = {}
    for number, folder in enumerate(source.folders):
        for records in read_clinic_split(folder).splits.sides().values():
            own = [group[0] for group in patient_groups(records)]
            data = load_labelled(records, plan.model, plan.preprocess)
            small = [cv2.resize(data.images[one], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in own]
            found.setdefault("features", []).append(np.asarray(saved_features(network, data.images))[own])
            found.setdefault("labels", []).append(data.labels[own])
            found.setdefault("clinics", []).append(np.full(len(own), number))
            found.setdefault("pictures", []).append(np.reshape(small, (len(own), SIDE, SIDE, 3)) / 255)
    content = io.BytesIO()
    np.savez(content, **{name: np.concatenate(own) for name, own in found.items()})  # type: ignore[arg-type]
    write_atomically(source.path, content.getvalue())
