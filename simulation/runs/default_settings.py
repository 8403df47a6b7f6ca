"""The defaults of a simulated run that depend on its data and first weights."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from dermafed.shared.model.model_info import LITE0_PACKAGE
from dermafed.shared.model.model_settings import backbone_name, default_frozen_blocks
from dermafed.shared.protocol.defences import defaults_with_defences
from dermafed.shared.protocol.plan import defaults_by_weights, without_excluded
from dermafed.shared.settings import KeyInfo

SYNTHETIC = "synthetic"
"""In place of a path: images are drawn."""

_TRAINED_WHOLE = {"image_size": 64, "learning_rate": 1e-3}
"""Where all blocks of a synthetic run are trained, and not computed once."""


def default_settings(given: Mapping[str, Any], keys: Mapping[str, KeyInfo]) -> dict[str, Any]:
    """The defaults, by name: those of synthetic images, or those that belong to the first weights.

    Args:
        given: the settings that are given.
        keys: all settings.
    """
    if given.get("data", SYNTHETIC) != SYNTHETIC:
        weights = given.get("weights", "imagenet")
        found = {"weights": weights} | defaults_by_weights(weights, given)
        return {name: value for name, value in found.items() if name in keys}
    weights = given.get("weights", _synthetic_start(given.get("backbone", "EfficientNetB0")))
    found = {name: key.key.synthetic for name, key in keys.items() if key.key.synthetic is not None}
    if weights == "lite0" and given.get("batch_norm", "frozen") == "frozen" and given.get("frozen_blocks", 1):
        found = without_excluded(found, given)
    else:
        found = {name: found[name] for name in ("rounds", "epochs")} | _TRAINED_WHOLE
        found["frozen_blocks"] = default_frozen_blocks(weights)
    defended = {name: value for name, value in defaults_with_defences(given).items() if name in keys}
    return found | defended | {"weights": weights}


def _synthetic_start(backbone: object) -> str:
    """``lite0`` where its package is installed: it starts far ahead of ``none``, without a download."""
    return "lite0" if backbone_name(backbone) == "EfficientNetB0" and find_spec(LITE0_PACKAGE) else "none"
