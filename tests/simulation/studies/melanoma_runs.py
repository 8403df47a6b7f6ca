"""Makes finished runs with scores of melanoma on validation and test images, without a training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dermafed.shared.lesions.clinic_split import split_folder, write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.arms import save_predictions
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun

CLASSES = ("melanoma", "nevus")
Scores = Sequence[Sequence[float]]
"""Of each clinic's images, the probability of melanoma."""
Labels = Mapping[str, str]
"""By clinic, the first letter of each image's class; every image is a lesion of its own."""


def melanoma_run(
    folder: Path,
    row: str,
    seed: int,
    tests: Labels,
    files: Mapping[str, Mapping[str, Scores]],
    *,
    validation: Labels | None = None,
    classes: Sequence[str] = CLASSES,
) -> StudyRun:
    """A run whose models made these predictions.

    Args:
        folder: the study's folder.
        row: the study's row.
        seed: the run's seed.
        tests: the test images of each clinic.
        files: by arm and file, the scores in it.
        validation: the validation images of each clinic; by default none.
        classes: names of the two classes.
    """
    out = folder / row / f"seed-{seed}"
    for clinic, letters in tests.items():
        chosen = images(f"{clinic}-v", (validation or {}).get(clinic, ""), classes)
        splits = Splits((), chosen, images(f"{clinic}-t", letters, classes))
        write_clinic_split(split_folder(out / "sites" / "clinics", clinic), splits)
    for arm, of_arm in files.items():
        (out / "arms" / arm).mkdir(parents=True)
        for file, scores in of_arm.items():
            save_predictions(out / "arms" / arm / file, [two_classes(own) for own in scores])
    content = {"classes": list(classes), "clinics": [{"name": clinic} for clinic in tests]}
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(seed=seed), out)


def images(name: str, letters: str, classes: Sequence[str] = CLASSES) -> tuple[LesionRecord, ...]:
    """Images whose classes begin with these letters."""
    of = {own[0]: own for own in classes}
    return tuple(
        LesionRecord(f"{name}{place:03d}", Path(name), of[letter]) for place, letter in enumerate(letters)
    )


def two_classes(scores: Sequence[float]) -> np.ndarray:  # type: ignore[type-arg]
    """Probabilities of melanoma and of the other class, float32 (N, 2)."""
    melanoma = np.array(scores, np.float32).reshape(-1, 1)
    return np.hstack([melanoma, 1 - melanoma])
