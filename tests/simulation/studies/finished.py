"""Makes finished runs without a training: split folders and predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dermafed.shared.lesions.clinic_split import split_folder, write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.arms import PREDICTIONS_FILE
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun

CLASSES = ("melanoma", "nevus")
Tests = Mapping[str, Sequence[tuple[str, str]]]
"""By clinic, the lesion and label of each test image."""


def finished(
    folder: Path, row: str, seed: int, tests: Tests, predictions: Mapping[str, Sequence[str]]
) -> StudyRun:
    """A run whose models made these predictions.

    Args:
        folder: the study's folder.
        row: the study's row.
        seed: the run's seed.
        tests: the test images of each clinic, in order of name.
        predictions: by arm, a word for each clinic with a letter for each image: the first letter of the
            predicted class, in capitals with a high probability.
    """
    out = folder / row / str(seed)
    for clinic, images in tests.items():
        records = [_record(clinic, place, *image) for place, image in enumerate(images)]
        write_clinic_split(split_folder(out / "sites" / "clinics", clinic), Splits((), (), tuple(records)))
    for arm, predicted in predictions.items():
        (out / "arms" / arm).mkdir(parents=True)
        arrays = {str(n): _probabilities(letters) for n, letters in enumerate(predicted)}
        np.savez(out / "arms" / arm / PREDICTIONS_FILE, **arrays)
    content = {"classes": list(CLASSES), "clinics": [{"name": clinic} for clinic in tests]}
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(seed=seed), out)


def _record(clinic: str, place: int, lesion: str, label: str) -> LesionRecord:
    name = f"{clinic}-{place:03d}"
    return LesionRecord(name, Path(f"{name}.jpg"), label, lesion_id=lesion)


def _probabilities(letters: str) -> np.ndarray:
    melanoma = {"M": 0.9, "m": 0.6, "n": 0.4, "N": 0.1}
    return np.array([[melanoma[letter], 1 - melanoma[letter]] for letter in letters], np.float32)
