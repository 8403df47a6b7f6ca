"""A model of a few random weights on the disk; whoever opens it reads its layers from the file."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.training.tiny import tiny_backbones

ROUND = 3


def save_small_model(folder: Path) -> Path:
    """The tiny network, of 64 pixels, with the paper's classes; its file."""
    settings = ModelSettings(PAPER_CLASSES, backbone="EfficientNetB7", image_size=64)
    card = ModelInfo(settings, PreprocessSettings(image_size=64), "none", ROUND)
    with tiny_backbones():
        save_model(folder / "small.keras", to_flat(build_classifier(settings)), card)
    return folder / "small.keras"
