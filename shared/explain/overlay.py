"""The picture of an explanation: the image, and on it what moved the score."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.report.sentences import spaced

COLOURS = mpl.colormaps["viridis"]  # perceptually uniform, and safe for the colour-blind
OPACITY = 0.6  # where the map is highest; the lesion stays visible there, and clear where the map is low
CAVEAT = "Shows what moved the score; does not outline the lesion."
USE = "Research use only; not a medical device."


def blend(image: NDArray[np.uint8], heatmap: Float) -> NDArray[np.uint8]:
    """Lay a map over its image, the more opaque the higher it is.

    Args:
        image: RGB uint8 (H, W, 3).
        heatmap: float32 (H, W) in [0, 1].

    Returns:
        RGB uint8 (H, W, 3); the image itself where the map is 0.
    """
    opacity = OPACITY * heatmap[..., None]
    mixed = (1 - opacity) * image + opacity * 255 * COLOURS(heatmap)[..., :3]
    return np.asarray(np.rint(mixed), np.uint8)


def overlay_png(image: NDArray[np.uint8], explanation: Explanation, classes: Sequence[str]) -> bytes:
    """Draw the image beside its overlay, with the map's own scale, the prediction and what the map is not.

    Args:
        image: RGB uint8 (H, W, 3), as it was explained.
        explanation: of that image.
        classes: C names.

    Returns:
        A PNG file; the same for the same explanation.
    """
    drawing = Figure(figsize=(8.4, 4.5), layout="constrained", facecolor="white")
    left, right = drawing.subplots(1, 2)
    _picture(left, image, _prediction(explanation, classes))
    _picture(right, blend(image, explanation.heatmap), _question(explanation, classes))
    if explanation.constant:
        right.set_xlabel("The map is zero everywhere: it shows nothing that moved the score.")
    else:
        _scale(drawing, right, explanation)
        if explanation.depends_on_class is False:
            right.set_xlabel("This map does not depend on the class.")
    drawing.supxlabel(f"{CAVEAT}\n{USE}", fontsize=10)
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def _picture(axes: Axes, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, interpolation="bilinear")
    axes.set_title(title, fontsize=11)
    axes.set(xticks=[], yticks=[])


def _scale(drawing: Figure, axes: Axes, explanation: Explanation) -> None:
    """A colour bar in the colours of the overlay, upon a mid-gray, over the range of the method's own map."""
    steps = np.linspace(0, 1, 256, dtype=np.float32)
    gray = np.full((256, 1, 3), 128, np.uint8)
    colours = ListedColormap(blend(gray, steps[:, None])[:, 0] / 255)
    values = ScalarMappable(Normalize(explanation.low, explanation.high), colours)
    bar = drawing.colorbar(
        values, ax=axes, fraction=0.046, ticks=np.linspace(explanation.low, explanation.high, 3)
    )
    bar.ax.set_yticklabels([f"{tick:.3g}" for tick in bar.get_ticks()])
    bar.set_label(f"{METHODS[explanation.method].title}, the map's own scale")


def _prediction(explanation: Explanation, classes: Sequence[str]) -> str:
    probability = explanation.probabilities[explanation.predicted]
    return f"Prediction: {spaced(classes[explanation.predicted])}, probability {probability:.2f}"


def _question(explanation: Explanation, classes: Sequence[str]) -> str:
    target = explanation.target
    question = f"What moved the score: {spaced(classes[target.index])}"
    return question if target.against is None else f"{question} rather than {spaced(classes[target.against])}"
