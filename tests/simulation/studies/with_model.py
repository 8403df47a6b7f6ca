"""The folder of a finished run, with a tiny model, without the training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

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


def finished_run(parent: Path, seed: int = 0) -> Path:
    """Two clinics of three test images each, predicted as the class of their number; call in tiny_backbones.

    Every lesion's mask is the image's upper left quarter.
    """
    folder = parent / "runs" / "plain" / f"seed-{seed}"
    for clinic in range(2):
        write_clinic_split(
            folder / "sites" / "clinics" / CLINICS[clinic], Splits((), (), _records(parent, clinic))
        )
    (folder / ARM).mkdir(parents=True)
    first = np.full((3, 3), 0.2, np.float32) + 0.4 * np.eye(3, dtype=np.float32)
    np.savez(folder / ARM / PREDICTIONS_FILE, **{"0": first, "1": first})
    save_model(folder / "model.keras", start(tiny(), seed), ModelInfo(tiny(), PIXELS, "none", 1))
    result = {"classes": CLASSES, "clinics": [{"name": name} for name in CLINICS], "pooled": {"auc": 1}}
    (folder / RESULT_FILE).write_text(json.dumps(result), "utf-8")
    return folder


def _records(parent: Path, clinic: int) -> tuple[LesionRecord, ...]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 2, : SIDE // 2] = 255
    cv2.imwrite(str(parent / "mask.png"), mask)
    names = [f"{clinic}{number}" for number in range(3)]
    for name in names:
        draw_image(parent / "images" / f"{name}.png", int(name))
    return tuple(
        LesionRecord(name, parent / "images" / f"{name}.png", label, mask=parent / "mask.png")
        for name, label in zip(names, CLASSES, strict=True)
    )
