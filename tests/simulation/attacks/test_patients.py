"""One image of each patient, as a finished run's clinics have them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.shared.lesions.clinic_split import read_clinic_split, write_clinic_split
from dermafed.simulation.attacks.patients import Patients, Source, save_patients
from dermafed.simulation.runs.run_settings import RunSettings
from tests.shared.training.tiny import CLASSES, SIDE, tiny_backbones
from tests.simulation.studies.with_model import CLINICS, finished_run


def test_a_patient_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        parent = finished_run(tmp_path) / "sites" / "clinics"
        folders = tuple(parent / clinic for clinic in CLINICS)
        again = read_clinic_split(folders[1])  # the same files at another clinic
        write_clinic_split(tmp_path / "third", again.splits)
        settings = RunSettings(
            data=str(tmp_path), weights="none", backbone="EfficientNetB7", image_size=SIDE, denoise="none"
        )
        path = tmp_path / "patients.npz"
        save_patients(Source(settings, CLASSES, (*folders, tmp_path / "third"), path))
    found = Patients.load(path)
    assert found.clinics.tolist() == 6 * [0] + 6 * [1] + 6 * [2]
    np.testing.assert_array_equal(found.features[6:12], found.features[12:])
    assert found.labels.tolist() == 6 * [0, 1, 2]
    assert np.ptp(found.features[:6], axis=0).max() > 0
    image = cv2.imread(str(again.splits.train[0].path))[..., ::-1] / 255
    assert abs(found.pictures[6].mean() - image.mean()) < 0.2
