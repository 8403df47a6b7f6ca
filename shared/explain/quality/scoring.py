"""All measures of one image, and of a set of images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Explain, Heatmap, Image, Predict, checked_heatmap
from dermafed.shared.explain.quality.localisation import Mask, energy_pointing, pixel_precision
from dermafed.shared.explain.quality.nulls import Nulls, of_another_image
from dermafed.shared.explain.quality.off_centre import farthest_third
from dermafed.shared.explain.quality.perturbation import causal_curves, confidence_change
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.explain.quality.stability import stability

ImageAndMask = tuple[Image, NDArray[np.bool_] | None]
"""A preprocessed image uint8 (S, S, 3) and its lesion's mask bool (S, S), if there is one."""

Scores = dict[str, float]


def explanation_quality(
    explain: Explain, predict: Predict, images: Iterable[ImageAndMask], nulls: Nulls | None = None
) -> ExplanationQuality:
    """Measure a method's explanations of the predicted classes.

    Args:
        explain: the method; called four times an image.
        predict: the classifier; called for 36 images an image.
        images: with their masks; an empty mask counts as none.
        nulls: what the maps' precision is compared with.

    Raises:
        DatasetError: there are too few images.
        ValueError: a map does not fit its image.
    """
    listed = list(images)
    scores, heatmaps = [], []
    for image, mask in listed:
        target = int(predict(image[None].astype(np.float32))[0].argmax())
        heatmaps.append(checked_heatmap(explain(image, target), image))
        scores.append(image_scores(explain, predict, image, heatmaps[-1], target, mask))
    add_precision_of_sets(scores, heatmaps, [mask for _, mask in listed], nulls)
    return ExplanationQuality.from_scores(scores)


def image_scores(
    explain: Explain,
    predict: Predict,
    image: Image,
    heatmap: Heatmap,
    target: int,
    mask: NDArray[np.bool_] | None = None,
) -> Scores:
    """Measure one explanation.

    Args:
        explain: the method, for the image's changed forms.
        predict: the classifier.
        image: uint8 (S, S, 3).
        heatmap: the method's map of the image, float32 (S, S) in [0, 1].
        target: index of the class that it explains.
        mask: the lesion, bool (S, S).

    Returns:
        Values by name of :data:`dermafed.shared.explain.quality.quality_sums.MEASURES`; none of pixel
        precision and pointing without a lesion in the mask.

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
) -> Scores:
    """The measures that need no other map than this: those of :func:`image_scores` less stability."""
    curves = causal_curves(predict, image, heatmap, target)
    change = confidence_change(predict, image, heatmap, target)
    return {
        "deletion": curves.deletion_auc,
        "insertion": curves.insertion_auc,
        "drop": change.drop,
        "increase": float(change.increase),
        **lesion_scores(heatmap, mask),
    }


def lesion_scores(heatmap: Heatmap, mask: Mask | None) -> Scores:
    """How well a map finds the lesion: pixel precision and energy pointing; nothing without a lesion."""
    if mask is None or not mask.any():
        return {}
    found = energy_pointing(heatmap, mask)
    return {
        "pixel_precision": pixel_precision(heatmap, mask),
        "pointing": found.energy,
        "pointing_chance": found.chance,
        "pointing_gain": found.gain,
    }


def add_precision_of_sets(
    scores: Sequence[Scores],
    heatmaps: Sequence[Heatmap],
    masks: Sequence[Mask | None],
    nulls: Nulls | None = None,
) -> None:
    """Add what depends on the set: pixel precision on the off-centre third, and of maps without knowledge.

    Args:
        scores: of each image, with its ``pixel_precision`` where it has a lesion; they are changed.
        heatmaps: the method's map of each image.
        masks: of each image; an empty one counts as none.
        nulls: of the nulls, their ``pixel_precision_NULL`` and ``off_centre_precision_NULL``.
    """
    lesions = [(at, mask) for at, mask in enumerate(masks) if mask is not None and mask.any()]
    others = of_another_image([heatmaps[at] for at, _ in lesions])
    far = farthest_third([mask for _, mask in lesions])
    for (at, mask), other, is_far in zip(lesions, others, far, strict=True):
        own = scores[at]
        if nulls is not None:
            own["pixel_precision_blob"] = pixel_precision(nulls.blob(), mask)
            own["pixel_precision_mean_mask"] = pixel_precision(nulls.mean_mask, mask)
        if len(lesions) > 1:
            own["pixel_precision_other_image"] = pixel_precision(other, mask)
        if is_far:
            precision = [name for name in own if name.startswith("pixel_precision")]
            own.update({name.replace("pixel", "off_centre"): own[name] for name in precision})
