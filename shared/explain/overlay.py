"""The picture of an explanation: the image, and on it what moved the score."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.report.sentences import spaced

COLOURS = mpl.colormaps["viridis"]  # perceptually uniform, and safe for the colour-blind
# From sky blue to yellow, of Okabe and Ito's colours for the colour-blind: both are seen on dark lesions.
# From half the range on only the opacity grows.
SIGNED_COLOURS = LinearSegmentedColormap.from_list(
    "signed", ["#56b4e9", "#56b4e9", "#808080", "#f0e442", "#f0e442"]
)
OPACITY = 0.6  # where the map is highest; the lesion stays visible there, and clear where the map is low
CAVEAT = "Shows what moved the score; does not outline the lesion."
USE = "Research use only; not a medical device."


def coloured(heatmap: Float, signed: bool = False) -> NDArray[np.float64]:
    """A map in its colours, the more opaque the farther from 0 it is.

    Args:
        heatmap: float32 (H, W) in [0, 1]; a signed one in [-1, 1].
        signed: whether it is.

    Returns:
        RGBA in [0, 1], (H, W, 4).
    """
    colours = SIGNED_COLOURS((1 + heatmap) / 2) if signed else COLOURS(heatmap)
    colours[..., 3] = np.abs(heatmap)
    return np.asarray(colours)


def blend(image: NDArray[np.uint8], heatmap: Float, signed: bool = False) -> NDArray[np.uint8]:
    """Lay a map over its image.

    Args:
        image: RGB uint8 (H, W, 3).
        heatmap: see :func:`coloured`, as `signed`.
        signed: whether it is.

    Returns:
        RGB uint8 (H, W, 3); the image itself where the map is 0.
    """
    layer = coloured(heatmap, signed)
    opacity = OPACITY * layer[..., 3:]
    return np.asarray(np.rint((1 - opacity) * image + opacity * 255 * layer[..., :3]), np.uint8)


def colour_words(explanation: Explanation) -> str:
    """What the colours of a signed map mean, as a sentence; empty for a map that has but one direction."""
    if not explanation.signed:
        return ""
    rather = explanation.target.against is not None
    title = METHODS[explanation.method].title
    return f"{title}: yellow speaks for it, light blue {'for the other class' if rather else 'against it'}."


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
    _picture(right, blend(image, explanation.heatmap, explanation.signed), _question(explanation, classes))
    if explanation.constant:
        right.set_xlabel("The map is zero everywhere: it shows nothing that moved the score.")
    else:
        _scale(drawing, right, explanation, classes)
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


def _scale(drawing: Figure, axes: Axes, explanation: Explanation, classes: Sequence[str]) -> None:
    """A colour bar in the colours of the overlay, upon a mid-gray, over the range of the method's own map."""
    low, high, signed = explanation.low, explanation.high, explanation.signed
    if signed:  # 0 in the middle
        high = max(high, -low)
        low = -high
    steps = np.linspace(-1 if signed else 0, 1, 256, dtype=np.float32)
    gray = np.full((256, 1, 3), 128, np.uint8)
    colours = ListedColormap(blend(gray, steps[:, None], signed)[:, 0] / 255)
    values = ScalarMappable(Normalize(low, high), colours)
    bar = drawing.colorbar(values, ax=axes, fraction=0.046, ticks=np.linspace(low, high, 3))
    bar.ax.set_yticklabels([f"{tick:.3g}" for tick in bar.get_ticks()])
    bar.set_label(f"{METHODS[explanation.method].title}, the map's own scale{_sides(explanation, classes)}")


def _sides(explanation: Explanation, classes: Sequence[str]) -> str:
    """What speaks for which class, as a second line; empty for a map that has but one direction."""
    if not explanation.signed:
        return ""
    target = explanation.target
    below = "against" if target.against is None else f"for {spaced(classes[target.against])}"
    return f"\nabove 0: for {spaced(classes[target.index])}; below: {below}"


def _prediction(explanation: Explanation, classes: Sequence[str]) -> str:
    probability = explanation.probabilities[explanation.predicted]
    return f"Prediction: {spaced(classes[explanation.predicted])}, probability {probability:.2f}"


def _question(explanation: Explanation, classes: Sequence[str]) -> str:
    target = explanation.target
    question = f"What moved the score: {spaced(classes[target.index])}"
    return question if target.against is None else f"{question} rather than {spaced(classes[target.against])}"
