from __future__ import annotations

from pathlib import Path

import numpy as np

from dermafed.shared.lesions.record import LesionRecord
from dermafed.simulation.studies.resampled_metrics import ImageSet


def test_a_diagnosis_has_one_name_for_all_names_of_classes() -> None:
    named = (("a", "mel"), ("b", "nv"), ("c", "mel"))
    records = [LesionRecord(name, Path(f"{name}.jpg"), label) for name, label in named]
    images = ImageSet(records, np.array([0, 1, 0]), ("mel", "nv"))
    values = images.values(np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]], np.float32), 10)
    assert values["sensitivity of melanoma"][0] == 0.5
    assert "sensitivity of nevus" in values
