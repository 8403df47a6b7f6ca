"""All measures of one image, and of a set of images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Explain, Heatmap, Image, Predict, checked_heatmap
from dermafed.shared.explain.quality.localisation import energy_pointing
from dermafed.shared.explain.quality.perturbation import causal_curves, confidence_change
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.explain.quality.stability import stability

ImageAndMask = tuple[Image, NDArray[np.bool_] | None]
"""A preprocessed image uint8 (S, S, 3) and its lesion's mask bool (S, S), if there is one."""


def explanation_quality(
    explain: Explain, predict: Predict, images: Iterable[ImageAndMask]
) -> ExplanationQuality:
    """Measure a method's explanations of the predicted classes.

    Args:
        explain: the method; called four times an image.
        predict: the classifier; called for 36 images an image.
        images: with their masks; an empty mask counts as none.

    Raises:
        DatasetError: there are too few images.
        ValueError: a map does not fit its image.
    """
    scores = []
    for image, mask in images:
        target = int(predict(image[None].astype(np.float32))[0].argmax())
        heatmap = checked_heatmap(explain(image, target), image)
        scores.append(image_scores(explain, predict, image, heatmap, target, mask))
    return ExplanationQuality.from_scores(scores)


def image_scores(
    explain: Explain,
    predict: Predict,
    image: Image,
    heatmap: Heatmap,
    target: int,
    mask: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Measure one explanation.

    Args:
        explain: the method, for the image's changed forms.
        predict: the classifier.
        image: uint8 (S, S, 3).
        heatmap: the method's map of the image, float32 (S, S) in [0, 1].
        target: index of the class that it explains.
        mask: the lesion, bool (S, S).

    Returns:
        A value for each of :data:`dermafed.shared.explain.quality.quality_sums.MEASURES`; none for pointing
        without a lesion in the mask.

    Raises:
        ValueError: a map or the mask does not fit the image.
    """
    steady = stability(explain, image, heatmap, target)
    return {
        **heatmap_scores(predict, image, heatmap, target, mask),
        "stability_shift": steady.shift,
        "stability_noise": steady.noise,
        "stability_jpeg": steady.jpeg,
    }


def heatmap_scores(
    predict: Predict, image: Image, heatmap: Heatmap, target: int, mask: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """The measures that need no other map than this: those of :func:`image_scores` less stability."""
    curves = causal_curves(predict, image, heatmap, target)
    change = confidence_change(predict, image, heatmap, target)
    return {
        "deletion": curves.deletion_auc,
        "insertion": curves.insertion_auc,
        "drop": change.drop,
        "increase": float(change.increase),
        **_pointing(heatmap, mask),
    }


def _pointing(heatmap: Heatmap, mask: NDArray[np.bool_] | None) -> dict[str, float]:
    if mask is None or not mask.any():
        return {}
    found = energy_pointing(heatmap, mask)
    return {"pointing": found.energy, "pointing_chance": found.chance, "pointing_gain": found.gain}
