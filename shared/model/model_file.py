"""A saved model: ``NAME.keras`` and, beside it, ``NAME.json`` that says how to use it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from shared.errors import ModelError
from shared.files import write_atomically
from shared.model.classifier import build_classifier
from shared.model.flat import FloatVector, set_flat
from shared.model.settings import ModelSettings
from shared.preprocess import PreprocessSettings

FORMAT = 1


@dataclass(frozen=True)
class ModelCard:
    """What a model needs to be used, and where it comes from.

    Attributes:
        model: the architecture, with the class names.
        preprocess: how images are prepared for it.
        origin: the first weights' origin.
        round: the federated round the weights come from.
        data: a fingerprint of the training data, without images: counts and a digest.
        note: what a user must know, such as a label approximation.
    """

    model: ModelSettings
    preprocess: PreprocessSettings
    origin: str
    round: int
    data: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON types."""
        return {
            "format": FORMAT,
            "classes": list(self.model.classes),
            "model": self.model.to_dict(),
            "preprocessing": self.preprocess.to_dict(),
            "weights_origin": self.origin,
            "round": self.round,
            "data": self.data,
            "note": self.note,
            "intended_use": "Research use only; not a medical device.",
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelCard:
        """The card from :meth:`to_dict`; raises KeyError or a SettingsError on other content."""
        return cls(
            ModelSettings.from_dict(values["model"]),
            PreprocessSettings.from_dict(values["preprocessing"]),
            values["weights_origin"],
            int(values["round"]),
            values.get("data", {}),
            values.get("note", ""),
        )


def save_model(path: Path, weights: FloatVector, card: ModelCard) -> None:
    """Writes the model file and its card, the card last, each whole or not at all.

    Args:
        path: ends in ``.keras``.
        weights: float32 (P,), the card's architecture.
        card: what is written to ``path`` with suffix ``.json``.
    """
    model = build_classifier(card.model)
    set_flat(model, weights)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder) / path.name
        model.save(whole)
        os.replace(whole, path)
    write_atomically(path.with_suffix(".json"), json.dumps(card.to_dict(), indent=2).encode())


def load_model(path: Path) -> tuple[keras.Model, ModelCard]:
    """Loads a model and its card.

    Raises:
        ModelError: either file is missing, damaged, or they do not belong together.
    """
    card = _load_card(path.with_suffix(".json"), path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ModelError("This model file cannot be read", where=path, remedy="Copy it again from its run") from error
    if model.output_shape[-1] != len(card.model.classes):
        raise ModelError(
            f"The model has {model.output_shape[-1]} outputs, its card names {len(card.model.classes)} classes",
            where=path,
            remedy="Keep a model and its .json together",
        )
    return model, card


def _load_card(path: Path, model: Path) -> ModelCard:
    for file, what in ((model, "model file"), (path, "card beside the model")):
        if not file.is_file():
            raise ModelError(f"There is no such {what}", where=file, remedy="Give the .keras file of a run")
    try:
        return ModelCard.from_dict(json.loads(path.read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError("The model's card cannot be read", where=path, remedy="Copy it again from its run") from error
