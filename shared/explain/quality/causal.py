"""Deletion and insertion: does the class's probability follow the pixels that the map ranks highest?

Petsiuk, Das and Saenko 2018, "RISE" (arXiv:1806.07421), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.quality.interfaces import NEUTRAL, Heatmap, Image, Predict, checked_heatmap
from dermafed.shared.explain.quality.ranking import ranking

STEPS = 16
"""Equal portions in which pixels are removed or added; four times as many move an area by 0.013 at most."""

BLUR_SIGMA = 5.0
"""Standard deviation, in pixels, of the insertion's first image; with :data:`BLUR_KERNEL`, the authors'."""

BLUR_KERNEL = 11
"""Side of the blur's kernel, in pixels."""


@dataclass(frozen=True, eq=False)
class CausalCurves:
    """The class's probability while pixels go or come, most important first.

    Attributes:
        deletion: float64 (K + 1,), from the whole image to none of it.
        insertion: float64 (K + 1,), from the blurred image to the whole one.
    """

    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve in [0, 1]; lower is better."""
        return area(self.deletion)

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve in [0, 1]; higher is better."""
        return area(self.insertion)


def causal_curves(
    predict: Predict, image: Image, heatmap: Heatmap, target: int, *, steps: int = STEPS
) -> CausalCurves:
    """Remove the map's pixels from the image, and add them to a blurred image.

    A removed pixel takes the neutral colour (:data:`NEUTRAL`), as in the authors' code. Insertion starts from
    the blurred image, which the authors prefer to a plain one because adding pixels to it makes no sharp
    edges. All 2 * (K + 1) images are predicted in one call.

    Args:
        predict: the classifier.
        image: uint8 (S, S, 3).
        heatmap: float32 (S, S) in [0, 1]; ties as in :func:`dermafed.shared.explain.quality.ranking.ranking`.
        target: index of the class.
        steps: K, at least 1.

    Raises:
        ValueError: the map does not fit the image.
    """
    order = ranking(checked_heatmap(heatmap, image))
    cuts = np.rint(np.linspace(0, order.size, steps + 1)).astype(np.intp)
    whole = image.astype(np.float32)
    frames = np.empty((2, steps + 1, *image.shape), np.float32)
    _replace(frames[0], whole, np.broadcast_to(NEUTRAL, image.shape), order, cuts)
    _replace(frames[1], blurred(whole), whole, order, cuts)
    scores = predict(frames.reshape(-1, *image.shape))[:, target].astype(np.float64)
    return CausalCurves(*np.split(scores, 2))


def area(curve: NDArray[np.float64]) -> float:
    """Area under a curve over [0, 1] by the trapezoidal rule."""
    return float((curve[:-1] + curve[1:]).mean() / 2)


def blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The image (S, S, 3) without its detail; see :data:`BLUR_SIGMA`."""
    size = (BLUR_KERNEL, BLUR_KERNEL)
    return np.asarray(cv2.GaussianBlur(image, size, BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE))


def _replace(
    frames: NDArray[np.float32],
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    order: NDArray[np.intp],
    cuts: NDArray[np.intp],
) -> None:
    """Fill frames (K + 1, S, S, 3): in the k-th, the first ``cuts[k]`` pixels are those of ``end``."""
    frames[:] = start
    for frame, cut in zip(frames, cuts, strict=True):
        rows, columns = np.unravel_index(order[:cut], start.shape[:2])
        frame[rows, columns] = end[rows, columns]
