"""Everything that is measured of a method on one model's images, for comparing methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dermafed.shared.explain.maps import Contrast, Heatmap, Image, Predict, checked_heatmap
from dermafed.shared.explain.quality.class_dependence import class_dependence
from dermafed.shared.explain.quality.lesion_deletion import lesion_drops
from dermafed.shared.explain.quality.localisation import Mask, box_overlap
from dermafed.shared.explain.quality.nulls import MEASURES_OF_WIDTH, Nulls, of_another_image
from dermafed.shared.explain.quality.scoring import (
    ImageAndMask,
    Scores,
    add_precision_of_sets,
    image_scores,
    lesion_scores,
)
from dermafed.shared.explain.quality.stability import correlation
from dermafed.shared.explain.quality.within_lesion import lesion_correlation

RANDOMISED_IMAGES = 20
"""So many images, evenly spaced, are also explained with shuffled weights."""


@dataclass(frozen=True, slots=True)
class MeasuredMethod:
    """A method, on a model and on the same model with all its weights shuffled.

    Attributes:
        explain: for the model.
        shuffled: for the shuffled one; see :func:`dermafed.shared.explain.quality.randomisation.randomised`.
    """

    explain: Contrast
    shuffled: Contrast


@dataclass(frozen=True, slots=True)
class MethodQuality:
    """What was measured of a method.

    Attributes:
        images: of each image its values by measure; which depends on whether it has a lesion.
        other_image: the same of the map of another image, for what asks where the lesion is.
    """

    images: Sequence[Scores]
    other_image: Sequence[Scores]


def method_quality(
    method: MeasuredMethod, predict: Predict, images: Sequence[ImageAndMask], nulls: Nulls | None
) -> MethodQuality:
    """Measure a method's explanations of the predicted classes.

    Args:
        method: called six times an image, and once more where the weights are shuffled.
        predict: the classifier, of two classes or more.
        images: with their masks; an empty mask counts as none.
        nulls: what pixel precision is compared with.

    Raises:
        ValueError: a map does not fit its image.
    """
    images = [(image, mask if mask is not None and mask.any() else None) for image, mask in images]
    shuffled = set(np.linspace(0, len(images) - 1, min(RANDOMISED_IMAGES, len(images))).astype(int).tolist())
    scores, heatmaps = [], []
    for at, (image, mask) in enumerate(images):
        first, second = np.argsort(-predict(image[None].astype(np.float32))[0], kind="stable")[:2].tolist()
        heatmaps.append(checked_heatmap(method.explain(image, first, None), image))
        scores.append(_own_scores(method.explain, predict, image, heatmaps[-1], (first, second), mask))
        if at in shuffled:
            scores[-1].update(_shuffled_scores(heatmaps[-1], method.shuffled(image, first, None), mask))
    masks = [mask for _, mask in images]
    add_precision_of_sets(scores, heatmaps, masks, nulls)
    return MethodQuality(scores, _of_another_image(scores, heatmaps, masks))


def with_best_widths(quality: MethodQuality, images: Sequence[ImageAndMask], nulls: Nulls) -> MethodQuality:
    """The quality of the blob, with that of the best width for each measure that depends on the width."""

    def best(own: Scores, mask: Mask | None) -> Scores:
        if mask is None or not mask.any():
            return own
        found = {name: measure(nulls.blob(name), mask) for name, measure in MEASURES_OF_WIDTH.items()}
        return {**own, **found, "pointing_gain": found["pointing"] - own["pointing_chance"]}

    scores = [best(own, mask) for own, (_, mask) in zip(quality.images, images, strict=True)]
    return MethodQuality(scores, quality.other_image)


def mean_scores(scores: Sequence[Mapping[str, float]]) -> Scores:
    """The mean of each measure over the images that have it."""
    names = dict.fromkeys(name for own in scores for name in own)
    return {name: float(np.mean([own[name] for own in scores if name in own])) for name in names}


def _own_scores(
    explain: Contrast,
    predict: Predict,
    image: Image,
    heatmap: Heatmap,
    classes: tuple[int, int],
    mask: Mask | None,
) -> Scores:
    """What needs no other image and no other weights."""
    first, second = classes
    dependence = class_dependence(explain, image, heatmap, first, second)
    own = image_scores(
        lambda changed, target: explain(changed, target, None), predict, image, heatmap, first, mask
    )
    own |= {"class_correlation": dependence.classes, "contrast_correlation": dependence.contrast}
    if mask is not None:
        own |= {
            "box_overlap": box_overlap(heatmap, mask),
            **lesion_drops(predict, image, heatmap, first, mask),
        }
    return own


def _shuffled_scores(heatmap: Heatmap, shuffled: Heatmap, mask: Mask | None) -> Scores:
    found = {"randomised": correlation(heatmap, shuffled)}
    if mask is not None:
        found["randomised_in_lesion"] = lesion_correlation(heatmap, shuffled, mask)
    return found


def _of_another_image(
    scores: Sequence[Scores], heatmaps: Sequence[Heatmap], masks: Sequence[Mask | None]
) -> list[Scores]:
    """The scores of the next image's map on each lesion; adds what two images' maps share within it."""
    lesions = [(at, mask) for at, mask in enumerate(masks) if mask is not None]
    if len(lesions) < 2:
        return []
    others = of_another_image([heatmaps[at] for at, _ in lesions])
    found = []
    for (at, mask), other in zip(lesions, others, strict=True):
        scores[at]["chance_in_lesion"] = lesion_correlation(heatmaps[at], other, mask)
        found.append({**lesion_scores(other, mask), "box_overlap": box_overlap(other, mask)})
    add_precision_of_sets(found, others, [mask for _, mask in lesions])
    return found
