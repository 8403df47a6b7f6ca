"""The folder of a finished simulation with given metrics, without training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.metrics.classification import classification_report
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.recipe import Recipe

CLASSES = ("melanoma", "nevus")
WEIGHTS = np.arange(10, dtype=np.float32)

# True class and answer of each test image by their first letters. North finds 4 of 5 melanomas and 3 of 5
# nevi, south 1 of 5 and all of 15.
NORTH = "mm mm mm mm mn nn nn nn nm nm"
SOUTH = "mm mn mn mn mn " + "nn " * 15


def report(pairs: str) -> dict[str, Any]:
    labels = ["mn".index(pair[0]) for pair in pairs.split()]
    answers = [[0.9, 0.1] if pair[1] == "m" else [0.1, 0.9] for pair in pairs.split()]
    return classification_report(labels, answers, CLASSES, bootstrap=20).to_dict()


def result(clinics: Mapping[str, str], images: int = 100) -> dict[str, Any]:
    """Of clinics whose test images these are; each has so many images of each class."""
    return {
        "title": "Federation of two",
        "version": "0.1.0",
        "created": "2027-03-04T05:06:07+00:00",
        "settings": {
            "data": "/data/Erika Mustermann",
            "clinics": "iid:2",
            "weights": "/data/first.h5",
            **{"strategy": "fedavg", "rounds": 2, "batch_norm": "fixed", "frozen_blocks": 0},
            **{"split": "drawn", "seed": 3},
        },
        "classes": list(CLASSES),
        "clinics": [
            {
                "name": name,
                "images": dict.fromkeys(CLASSES, images),
                "splits": {"train": 2 * images - 40, "validation": 20, "test": len(pairs.split())},
            }
            for name, pairs in clinics.items()
        ],
        "federated": {
            "test": report(" ".join(clinics.values())),
            "clinics": {name: report(pairs) for name, pairs in clinics.items()},
            "calibration": {
                "expected_calibration_error": 0.125,
                "interval": {"low": 0.1, "high": 0.2, "method": "made up"},
            },
        },
        "explanations": None,
        "notes": ["Skipped 1 unreadable image: ISIC_0024306.jpg"],
        "command": "fl-simulate --data '/data/Erika Mustermann'",
    }


def simulation(folder: Path, content: dict[str, Any] | None = None) -> Path:
    """A run of two rounds; its model file itself is not there."""
    arm = folder / "arms" / "federated"
    arm.mkdir(parents=True)
    history = tuple(HistoryRow(n, 1.0, 0.9, 0.5, 0.6, math.nan, 2, "", 1.0, 0.1) for n in (1, 2))
    save_state(arm, RunState(2, WEIGHTS, {}, history, {"recipe": Recipe(epochs=0.5).to_dict()}))
    write_history(arm, history)
    card = ModelInfo(
        ModelSettings(CLASSES, image_size=64),
        PreprocessSettings(image_size=64),
        "imagenet",
        2,
        labels={"mel": "melanoma", "nv": "nevus", "nevi": "nevus"},
    )
    given = content or result({"north": NORTH, "south": SOUTH})
    (folder / "settings.json").write_text(json.dumps(given["settings"]))
    (folder / "model.json").write_text(json.dumps(card.to_dict()))
    (folder / "result.json").write_text(json.dumps(given))
    return folder
