"""A model file of random weights, which takes as long as a trained one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def save_untrained(folder: Path, **architecture: Any) -> Path:
    """Save a classifier of random weights as ``model.keras`` with its card.

    Args:
        folder: to write into.
        architecture: fields of the model's settings, with ``image_size``.
    """
    from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
    from dermafed.shared.lesions.record import PAPER_CLASSES
    from dermafed.shared.model.classifier import build_classifier, to_flat
    from dermafed.shared.model.model_file import save_model
    from dermafed.shared.model.model_info import ModelInfo
    from dermafed.shared.model.model_settings import ModelSettings

    model = ModelSettings(PAPER_CLASSES, **architecture)
    preprocess = PreprocessSettings(image_size=architecture["image_size"])
    path = folder / "model.keras"
    save_model(
        path,
        to_flat(build_classifier(model)),
        ModelInfo(model, preprocess, "none", 0, data={"synthetic": True}),
    )
    return path
