"""The folder of a finished run, with a tiny model, without the training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.simulation.runs.arms import PREDICTIONS_FILE
from dermafed.simulation.studies.study_runs import RESULT_FILE
from tests.commands.small_datasets import SIDE, draw_image
from tests.shared.training.tiny import CLASSES, start, tiny

PIXELS = PreprocessSettings(image_size=32, denoise="none", clahe=False, clahe_grid=1)
ARM = Path("arms") / "federated"
CLINICS = ("clinic 0", "clinic 1")


def finished_run(parent: Path, seed: int = 0, *, masks: bool = True) -> Path:
    """Two clinics of three test images each, predicted as the class of their number; call in tiny_backbones.

    Every lesion's mask is the image's upper left quarter, in training a square of that size in the middle.
    """
    folder = parent / "runs" / "plain" / f"seed-{seed}"
    for clinic in range(2):
        write_clinic_split(folder / "sites" / "clinics" / CLINICS[clinic], _splits(parent, clinic, masks))
    (folder / ARM).mkdir(parents=True)
    first = np.full((3, 3), 0.2, np.float32) + 0.4 * np.eye(3, dtype=np.float32)
    np.savez(folder / ARM / PREDICTIONS_FILE, **{"0": first, "1": first})
    save_model(folder / "model.keras", start(tiny(), seed), ModelInfo(tiny(), PIXELS, "none", 1))
    result = {"classes": CLASSES, "clinics": [{"name": name} for name in CLINICS], "pooled": {"auc": 1}}
    (folder / RESULT_FILE).write_text(json.dumps(result), "utf-8")
    return folder


def _splits(parent: Path, clinic: int, masks: bool) -> Splits:
    corner, middle = np.zeros((2, SIDE, SIDE), np.uint8)
    corner[: SIDE // 2, : SIDE // 2] = 255
    middle[SIDE // 4 : SIDE - SIDE // 4, SIDE // 4 : SIDE - SIDE // 4] = 255
    tests = _records(parent, f"{clinic}", 10 * clinic, corner if masks else None)
    training = _records(parent, f"training-{clinic}", 100 + 10 * clinic, middle if masks else None)
    return Splits(training, (), tests)


def _records(
    parent: Path, clinic: str, seed: int, mask: NDArray[np.uint8] | None
) -> tuple[LesionRecord, ...]:
    names = [f"{clinic}{number}" for number in range(3)]
    for number, name in enumerate(names):
        draw_image(parent / "images" / f"{name}.png", seed + number)
        if mask is not None:
            cv2.imwrite(str(parent / "images" / f"{name}-mask.png"), mask)
    return tuple(
        LesionRecord(
            name,
            parent / "images" / f"{name}.png",
            label,
            mask=None if mask is None else parent / "images" / f"{name}-mask.png",
        )
        for name, label in zip(names, CLASSES, strict=True)
    )
