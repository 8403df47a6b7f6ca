"""How well lesions are found: overlap of outline and mask, and average precision of pixels, with intervals.

Dice's coefficient is 2 |A n B| / (|A| + |B|) of the outline A and the mask B (Dice 1945), Jaccard's index
|A n B| / |A u B|. ISIC's challenge counts a Jaccard index below 0.65 as a failure (Codella et al. 2019,
arXiv:1902.03368, task 1). Average precision has no threshold; on the third of images whose lesions lie
farthest from the middle, a blob in the middle no longer passes for a finder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from dermafed.shared.metrics.intervals import draw_lesions, percentile_interval

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FAILED = 0.65
"""A Jaccard index below it is a failure."""

BOOTSTRAP = "percentile bootstrap over lesions"


@dataclass(frozen=True, slots=True)
class ImageOverlap:
    """How well the lesion of one image was found.

    Attributes:
        dice: from 0 to 1; 0 where nothing was found.
        jaccard: from 0 to 1.
        precision: average precision of the pixels; NaN where the lesion fills the image.
        away: the distance of the lesion's middle from the image's, in sides of the image.
    """

    dice: float
    jaccard: float
    precision: float
    away: float

    @classmethod
    def of(cls, region: Mask, scores: NDArray[np.floating], mask: Mask) -> ImageOverlap:
        """Compare an outline, and the scores of "this pixel is lesion", with a mask.

        Args:
            region: bool (S, S), true within the outline; false everywhere where nothing was found.
            scores: (S, S), high on the lesion.
            mask: bool (S, S), true on the lesion, which exists.

        Raises:
            ValueError: the shapes differ, or the mask has no lesion.
        """
        if not region.shape == scores.shape == mask.shape or not mask.any():
            raise ValueError(f"the mask {mask.shape} is no lesion of an outline {region.shape}")
        both, either = int((region & mask).sum()), int((region | mask).sum())
        precision = np.nan if mask.all() else average_precision_score(mask.ravel(), scores.ravel())
        middle = [
            float(np.mean(axis) + 0.5) / side for axis, side in zip(mask.nonzero(), mask.shape, strict=True)
        ]
        away = float(np.hypot(middle[0] - 0.5, middle[1] - 0.5))
        return cls(2 * both / (both + either), both / either, float(precision), away)


def segmentation_report(
    images: Sequence[ImageOverlap], lesions: Sequence[str], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Means over images, with 95 % intervals, as JSON types.

    Args:
        images: at least one.
        lesions: the lesion of each, for images of one lesion are alike.
        seed: of the resamples.
        resamples: their number; 0: no intervals.

    Returns:
        ``images``, and by name ``mean`` and ``interval`` (``None`` where there is none) of ``dice``,
        ``jaccard``, ``failed`` (the share of Jaccard below FAILED), ``precision`` and
        ``precision_off_centre``; the latter two have ``None`` where no image has a precision.
    """
    _, lesion = np.unique(np.asarray(lesions), return_inverse=True)
    labels = np.zeros(len(images), np.int64)
    draws = draw_lesions(labels, lesion, np.random.default_rng(seed), resamples)[:, lesion]
    return {
        "images": len(images),
        **{name: _mean(values, draws) for name, values in _values(images).items()},
    }


def _values(images: Sequence[ImageOverlap]) -> dict[str, Floats]:
    """Each measure of each image, (N,); NaN where it has none."""
    jaccard = np.array([image.jaccard for image in images])
    precision = np.array([image.precision for image in images])
    away = np.array([image.away for image in images])
    return {
        "dice": np.array([image.dice for image in images]),
        "jaccard": jaccard,
        "failed": (jaccard < FAILED).astype(np.float64),
        "precision": precision,
        "precision_off_centre": np.where(off_centre(away), precision, np.nan),
    }


def off_centre(away: Floats) -> Mask:
    """The third of images whose lesions lie farthest from the middle, at least one: bool (N,)."""
    chosen = np.zeros(len(away), np.bool_)
    chosen[np.argsort(-away, kind="stable")[: max(1, len(away) // 3)]] = True
    return chosen


def _mean(values: Floats, draws: Floats) -> dict[str, Any]:
    known = np.isfinite(values)
    if not known.any():
        return {"mean": None, "interval": None}
    weights = draws[:, known]
    drawn = weights[weights.sum(axis=1) > 0]
    interval = percentile_interval(drawn @ values[known] / drawn.sum(axis=1), BOOTSTRAP)
    return {"mean": float(values[known].mean()), "interval": None if interval is None else asdict(interval)}
