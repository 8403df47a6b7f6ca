"""A saved model: ``NAME.keras`` and, beside it, ``NAME.json`` that says how to use it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import keras

from dermafed.shared.errors import ModelError, SettingsError
from dermafed.shared.model.classifier import FloatVector, build_classifier, set_flat
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.storage.atomic_files import unwritable, write_atomically, write_json


def save_model(path: Path, weights: FloatVector, card: ModelInfo) -> None:
    """Writes the model file and its card, the card last, each whole or not at all.

    Args:
        path: ends in ``.keras``.
        weights: float32 (P,), the card's architecture.
        card: what is written to ``path`` with suffix ``.json``.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    model = build_classifier(card.model)
    set_flat(model, weights)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder) / path.name
            model.save(whole)
            write_atomically(path, whole.read_bytes())
    except OSError as error:
        raise unwritable(error, path) from error
    write_json(path.with_suffix(".json"), card.to_dict())


def load_model(path: Path) -> tuple[keras.Model, ModelInfo]:
    """Loads a model and its card.

    Raises:
        ModelError: either file is missing, damaged, or they do not belong together.
    """
    card = _load_card(path.with_suffix(".json"), path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, zipfile and HDF5 meet damage with errors of many types.
        raise ModelError(
            "This model file cannot be read", where=path, remedy="Copy it again from its run"
        ) from error
    outputs, classes = model.output_shape[-1], len(card.model.classes)
    if outputs != classes:
        raise ModelError(
            f"The model has {outputs} outputs, its card names {classes} classes",
            where=path,
            remedy="Keep a model and its .json together",
        )
    return model, card


def _load_card(path: Path, model: Path) -> ModelInfo:
    for file, what in ((model, "model file"), (path, "card beside the model")):
        if not file.is_file():
            raise ModelError(f"There is no such {what}", where=file, remedy="Give the .keras file of a run")
    try:
        return ModelInfo.from_dict(json.loads(path.read_text("utf-8")))
    except (SettingsError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            "The model's card cannot be read", where=path, remedy="Copy it again from its run"
        ) from error
