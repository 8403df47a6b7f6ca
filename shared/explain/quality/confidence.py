"""Average drop and increase: what is left of the confidence when only the map's part of the image is shown.

Chattopadhyay et al. 2018, "Grad-CAM++" (arXiv:1710.11063), section 4.1, as changed by Wang et al. 2020,
"Score-CAM" (arXiv:1910.01279), section 4.2. With Y the class's probability on the image and O that on the
masked image, drop = max(0, Y - O) / Y and increase = 1 if O > Y, each averaged over the images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.quality.interfaces import NEUTRAL, Heatmap, Image, Predict, checked_heatmap
from dermafed.shared.explain.quality.ranking import ranking


@dataclass(frozen=True, slots=True)
class ConfidenceChange:
    """One image's share in the averages.

    Attributes:
        drop: share of the class's probability that is lost, in [0, 1]; lower is better.
        increase: whether the class became more probable.
    """

    drop: float
    increase: bool


def confidence_change(
    predict: Predict, image: Image, heatmap: Heatmap, target: int, *, kept: float = 0.5
) -> ConfidenceChange:
    """Compare the class's probability on the image and on its masked form.

    Args:
        predict: the classifier.
        image: uint8 (S, S, 3).
        heatmap: float32 (S, S) in [0, 1].
        target: index of the class. One of probability 0 has nothing to lose: its drop is 0.
        kept: share of the pixels, by the map, that are shown at all: 0.5 is Wang's protocol, 1
            Chattopadhyay's.

    Raises:
        ValueError: the map does not fit the image.
    """
    frames = np.stack([image.astype(np.float32), masked(image, heatmap, kept=kept)])
    whole, part = (float(score) for score in predict(frames)[:, target])
    return ConfidenceChange(drop=max(0.0, whole - part) / whole if whole > 0 else 0.0, increase=part > whole)


def masked(image: Image, heatmap: Heatmap, *, kept: float) -> NDArray[np.float32]:
    """Multiply the image with its map point by point.

    The product is taken where the network's standardised input would be: a value of 0 gives the neutral
    colour (:data:`NEUTRAL`), 1 the pixel itself.

    Args:
        image: uint8 (S, S, 3).
        heatmap: float32 (S, S) in [0, 1].
        kept: share of the pixels in (0, 1] that keep their value of the map; it is 0 for the others.

    Returns:
        float32 (S, S, 3) in 0-255.
    """
    weights = checked_heatmap(heatmap, image).copy()
    weights.flat[ranking(weights)[round(kept * weights.size) :]] = 0
    return NEUTRAL + weights[..., None] * (image - NEUTRAL)
