"""Explanations: Score-CAM and its family, for any Keras classifier with a convolutional layer.

::

    explainer = Explainer(model)
    explanation = explainer.explain(image)
    explanation.heatmap
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.explain.convention import CONVENTIONS, Convention
    from shared.explain.explainer import Explainer
    from shared.explain.explanation import Explanation
    from shared.explain.methods import METHODS
    from shared.explain.quality.interfaces import Explain
    from shared.explain.target import Target

__all__ = ["CONVENTIONS", "METHODS", "Convention", "Explain", "Explainer", "Explanation", "Target"]

_MODULES = {
    "CONVENTIONS": "convention",
    "Convention": "convention",
    "Explain": "quality.interfaces",
    "Explainer": "explainer",
    "Explanation": "explanation",
    "METHODS": "methods",
    "Target": "target",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when first used: messages need the quality's figures, and no Keras."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
