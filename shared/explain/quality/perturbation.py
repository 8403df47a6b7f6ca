"""Perturbation measures: how the class's probability changes when pixels are removed by the map's ranking.

Deletion and insertion: Petsiuk, Das and Saenko 2018, "RISE" (arXiv:1806.07421), section 4.2.

Average drop and increase: Chattopadhyay et al. 2018, "Grad-CAM++" (arXiv:1710.11063), section 4.1, as changed
by Wang et al. 2020, "Score-CAM" (arXiv:1910.01279), section 4.2. With Y the class's probability on the image
and O that on the masked image, drop = max(0, Y - O) / Y and increase = 1 if O > Y, each averaged over the
images.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Heatmap, Image, Predict, checked_heatmap

NEUTRAL = np.array([123.675, 116.28, 103.53], np.float32)
"""Colour of a removed pixel, RGB in 0-255: ImageNet's mean, which a standardised network sees as zero.

RISE and Score-CAM remove by setting the network's standardised input to zero: this colour. No colour is free
of meaning: a lesion classifier takes any plain or blurred image, of whatever colour, for a certain nevus. So
deletion, insertion and drop separate methods on lesions predicted as something else, and hardly on nevi.
"""

_GRID = 7  # tiles a side, as many as the cells of the classifiers' last maps
_STRIDE = 18  # of those that visit every tile, the one that treats quarters and centre most evenly
STEPS = 16
"""Equal portions in which pixels are removed or added; four times as many move an area by 0.013 at most."""
BLUR_SIGMA = 5.0
"""Standard deviation, in pixels, of the insertion's first image; with :data:`BLUR_KERNEL`, the authors'."""
BLUR_KERNEL = 11
"""Side of the blur's kernel, in pixels."""


def ranking(heatmap: Heatmap) -> NDArray[np.intp]:
    """Pixels from the most to the least important.

    Equal pixels go tile by tile, 7 x 7 tiles in a fixed order that jumps about the image, row by row within a
    tile. So a constant map removes regions of a real map's size from anywhere, and gets chance level. Other
    orders are not fair: from the centre, a constant map would be right about dermoscopy's centred
    lesions; from the border, worse than chance; single pixels at random riddle the whole image with holes,
    which upsets a network more than the removal of any region.

    Args:
        heatmap: float32 (H, W), finite.

    Returns:
        int (H * W,), indices into the flattened map; the same map gives the same order on every machine.
    """
    rows, columns = np.indices(heatmap.shape)
    tile = rows * _GRID // heatmap.shape[0] * _GRID + columns * _GRID // heatmap.shape[1]
    turn = tile * _STRIDE % _GRID**2
    return np.lexsort((turn.ravel(), -heatmap.ravel()))


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
        heatmap: float32 (S, S) in [0, 1], or signed in [-1, 1]; ties as in :func:`ranking`.
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
    predict: Predict, image: Image, heatmap: Heatmap, target: int, *, shown: float = 0.5
) -> ConfidenceChange:
    """Compare the class's probability on the image and on its masked form.

    Args:
        predict: the classifier.
        image: uint8 (S, S, 3).
        heatmap: float32 (S, S) in [0, 1].
        target: index of the class. One of probability 0 has nothing to lose: its drop is 0.
        shown: share of the pixels, by the map, that are shown at all: 0.5 is Wang's protocol, 1
            Chattopadhyay's.

    Raises:
        ValueError: the map does not fit the image.
    """
    frames = np.stack([image.astype(np.float32), masked(image, heatmap, shown=shown)])
    whole, part = (float(score) for score in predict(frames)[:, target])
    return ConfidenceChange(drop=max(0.0, whole - part) / whole if whole > 0 else 0.0, increase=part > whole)


def masked(image: Image, heatmap: Heatmap, *, shown: float) -> NDArray[np.float32]:
    """Multiply the image with its map point by point.

    The product is taken where the network's standardised input would be: a value of 0 gives the neutral
    colour (:data:`NEUTRAL`), 1 the pixel itself.

    Args:
        image: uint8 (S, S, 3).
        heatmap: float32 (S, S) in [0, 1]; of a signed one, what speaks against the class gets 0.
        shown: share of the pixels in (0, 1] that are shown with their value of the map; the others get 0.

    Returns:
        float32 (S, S, 3) in 0-255.
    """
    weights = np.asarray(np.maximum(checked_heatmap(heatmap, image), 0), np.float32)
    weights.flat[ranking(weights)[round(shown * weights.size) :]] = 0
    return NEUTRAL + weights[..., None] * (image - NEUTRAL)
