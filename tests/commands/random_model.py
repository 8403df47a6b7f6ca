"""A model file of random weights, as good as any to check commands with."""

from __future__ import annotations

from pathlib import Path

import keras

from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo


def save_random_model(folder: Path, card: ModelInfo) -> Path:
    """Save a classifier of random weights, always the same ones, as ``model.keras`` with its card.

    Args:
        folder: to write into.
        card: of the model.
    """
    path = folder / "model.keras"
    keras.utils.set_random_seed(3)
    save_model(path, to_flat(build_classifier(card.model)), card)
    return path
