"""A real, untrained model on the disk, small enough to open in seconds."""

from __future__ import annotations

from pathlib import Path

from shared.lesions import PAPER_CLASSES
from shared.model.card import ModelCard
from shared.model.classifier import build_classifier
from shared.model.flat import to_flat
from shared.model.model_file import save_model
from shared.model.settings import ModelSettings
from shared.preprocess import PreprocessSettings

ROUND = 3


def save_small_model(folder: Path) -> Path:
    """An EfficientNetB0 of 64 pixels with the paper's classes; its file."""
    settings = ModelSettings(PAPER_CLASSES, image_size=64)
    card = ModelCard(settings, PreprocessSettings(image_size=64), "none", ROUND)
    save_model(folder / "small.keras", to_flat(build_classifier(settings)), card)
    return folder / "small.keras"
