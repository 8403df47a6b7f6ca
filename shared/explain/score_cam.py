"""Score-CAM (Wang et al. 2020, arXiv:1910.01279), in each of its published definitions.

The scores S_k come from one masked pass a channel (:func:`exact_score_cam`), or are estimated from fewer
passes (:mod:`dermafed.shared.explain.fast_score_cam`); the map is made from them here, in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from dermafed.shared.explain.engine import Engine
from dermafed.shared.explain.maps import ActivationMaps, Float, enlarge
from dermafed.shared.explain.network import Score, Target
from dermafed.shared.model.classifier import IMAGENET_MEAN

Basis = Literal["masks", "signed", "rectified"]
Fill = Literal["black", "mean", "blurred"]


@dataclass(frozen=True, slots=True)
class Convention:
    """One definition of Score-CAM (Wang et al. 2020, arXiv:1910.01279, definitions 3 and 4).

    With A_k the activation map of channel k, brought to the image's size, and H_k its min-max
    normalisation, channel k scores S_k = f(X * H_k + B * (1 - H_k)), where f is the class's score, X the
    image and B the fill.

    Attributes:
        basis: what the weights a_k are summed over: ``"masks"`` sum a_k H_k; ``"signed"`` sum a_k A_k;
            ``"rectified"`` ReLU(sum a_k A_k), as in the paper.
        score: the class's ``"logit"`` or ``"probability"``.
        fill: B, what the masked-out pixels become: ``"black"``; ImageNet's ``"mean"`` colour, which a network
            that standardises its input sees as zero; or the ``"blurred"`` image.
        increase: whether the score of B alone is subtracted from each S_k; no effect under `softmax`.
        softmax: whether a = softmax(S) over the channels, or a = S.
    """

    basis: Basis
    score: Score
    fill: Fill = "black"
    increase: bool = True
    softmax: bool = False


CONVENTIONS = {
    # The paper's formula, taken literally.
    "paper": Convention("rectified", "logit", "black", increase=True, softmax=True),
    # The authors' own program: bare probabilities as weights, masks upon the standardised image.
    "authors": Convention("rectified", "probability", "mean", increase=False, softmax=False),
    # Among the best of twenty by insertion less deletion: docs/explanations.md.
    "default": Convention("signed", "logit", "mean", increase=True, softmax=True),
}

BLUR = 0.1  # standard deviation, of the image's side: no structure of a lesion survives

Values = Callable[[Float], Float]
"""Masks (N, h, w) in [0, 1] to what every class scores, (N, C): one masked pass serves all classes."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCam:
    """Score-CAM of one image and one target.

    Attributes:
        maps: the K activation maps.
        values: what the network gives each mask.
        target: what is explained; its scores S are a weighted sum of the values.
        convention: what is made of these.
    """

    maps: ActivationMaps
    values: Values
    target: Target
    convention: Convention

    @property
    def cells(self) -> Float:
        """What the scores weigh, (K, h, w)."""
        return self.maps.masks if self.convention.basis == "masks" else self.maps.raw

    def weights(self, scores: Float) -> Float:
        """The channels' weights a, (K,), that their scores S, (K,), make."""
        return _softmax(scores) if self.convention.softmax else scores

    def heatmap(self, scores: Float, size: tuple[int, int] | None = None) -> Float:
        """The map that K scores make: float32 (H, W), neither scaled nor shifted to [0, 1].

        Args:
            scores: S_k, (K,).
            size: H and W, by default the image's.
        """
        summed = enlarge(np.tensordot(self.weights(scores), self.cells, axes=1), size or self.maps.size)
        return np.maximum(summed, 0) if self.convention.basis == "rectified" else summed


def score_cam(
    engine: Engine, image: Float, maps: ActivationMaps, target: Target, convention: Convention
) -> ScoreCam:
    """Score-CAM of an image, before any masked pass.

    Args:
        engine: runs the masked passes.
        image: float32 (H, W, 3) in 0-255.
        maps: the image's activation maps.
        target: what to explain.
        convention: which Score-CAM.
    """
    blank = fill(image, convention.fill)

    def values(masks: Float) -> Float:
        return engine.run(masks, image, blank).values(convention.score)

    # A constant changes nothing under the softmax, and saves a pass.
    if not convention.increase or convention.softmax:
        return ScoreCam(maps, values, target, convention)
    without = values(np.zeros((1, *maps.masks.shape[1:]), np.float32))
    return ScoreCam(maps, lambda masks: values(masks) - without, target, convention)


def exact_score_cam(cam: ScoreCam) -> Float:
    """The map of one masked pass for each channel, float32 (H, W)."""
    return cam.heatmap(cam.target.score(cam.values(cam.maps.masks)))


def fill(image: Float, kind: Fill) -> Float:
    """What masked-out pixels become: float32 (H, W, 3) in 0-255, of this image's size."""
    if kind == "blurred":
        return cv2.GaussianBlur(image, (0, 0), BLUR * max(image.shape[:2])).astype(np.float32, copy=False)
    colour = 255 * np.array(IMAGENET_MEAN if kind == "mean" else (0, 0, 0), np.float32)
    return np.broadcast_to(colour, image.shape).astype(np.float32)


def _softmax(scores: Float) -> Float:
    powers = np.exp(scores - scores.max())
    weights: Float = powers / powers.sum()
    return weights
