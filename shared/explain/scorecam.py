"""Score-CAM (Wang et al. 2020, arXiv:1910.01279): activation maps weighted by what they let the network see.

The scores S_k come from one masked pass a channel (:func:`exact_scores`) or are estimated from fewer
(:mod:`dermafed.shared.explain.fast`); the map is made of them here, the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from dermafed.shared.explain.convention import Convention, Fill
from dermafed.shared.explain.engine import Engine
from dermafed.shared.explain.maps import ActivationMaps, Float, enlarge
from dermafed.shared.explain.target import Target
from dermafed.shared.model.classifier import IMAGENET_MEAN

BLUR = 0.1  # standard deviation, of the image's side: no structure of a lesion survives

Scores = Callable[[Float], Float]
"""Masks (N, h, w) in [0, 1] to their scores S (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCam:
    """Score-CAM of one image and one target.

    Attributes:
        maps: the K activation maps.
        scores: what the network gives each mask.
        convention: what is made of these.
    """

    maps: ActivationMaps
    scores: Scores
    convention: Convention

    @property
    def cells(self) -> Float:
        """What the scores weigh, (K, h, w)."""
        return self.maps.masks if self.convention.basis == "masks" else self.maps.raw

    def weights(self, scores: Float) -> Float:
        """The channels' weights a, (K,), that their scores S, (K,), make."""
        return _softmax(scores) if self.convention.softmax else scores

    def heatmap(self, scores: Float) -> Float:
        """The map that K scores make: float32 (H, W), neither scaled nor shifted to [0, 1].

        Args:
            scores: S_k, (K,).
        """
        summed = enlarge(np.tensordot(self.weights(scores), self.cells, axes=1), self.maps.size)
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

    def scores(masks: Float) -> Float:
        return target.score(engine.run(masks, image, blank), convention.score)

    # A constant changes nothing under the softmax, and saves a pass.
    if not convention.increase or convention.softmax:
        return ScoreCam(maps, scores, convention)
    without = scores(np.zeros((1, *maps.masks.shape[1:]), np.float32))
    return ScoreCam(maps, lambda masks: scores(masks) - without, convention)


def exact(cam: ScoreCam) -> Float:
    """The map of one masked pass for each channel, float32 (H, W)."""
    return cam.heatmap(cam.scores(cam.maps.masks))


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
