"""A real, untrained model on the disk, small enough to open in seconds."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings

ROUND = 3


def save_small_model(folder: Path) -> Path:
    """An EfficientNetB0 of 64 pixels with the paper's classes; its file."""
    settings = ModelSettings(PAPER_CLASSES, image_size=64)
    card = ModelInfo(settings, PreprocessSettings(image_size=64), "none", ROUND)
    save_model(folder / "small.keras", to_flat(build_classifier(settings)), card)
    return folder / "small.keras"
