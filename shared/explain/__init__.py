"""Explanations: Score-CAM and its family, for any Keras classifier with a convolutional layer.

::

    explainer = Explainer(model)
    explanation = explainer.explain(image)
    explanation.heatmap
"""

from shared.explain.convention import CONVENTIONS, Convention
from shared.explain.explainer import Explain, Explainer
from shared.explain.explanation import Explanation
from shared.explain.methods import METHODS
from shared.explain.target import Target

__all__ = ["CONVENTIONS", "METHODS", "Convention", "Explain", "Explainer", "Explanation", "Target"]
