"""The methods by name, and what they share of one classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import keras
import numpy as np

from dermafed.shared.explain.convention import Convention
from dermafed.shared.explain.engine import Engine, best_engine
from dermafed.shared.explain.fast import Estimate, fast
from dermafed.shared.explain.linear_cam import class_weights
from dermafed.shared.explain.maps import Float, activation_maps, enlarge, no_map
from dermafed.shared.explain.network import Network
from dermafed.shared.explain.scorecam import ScoreCam, exact, score_cam
from dermafed.shared.explain.target import Target

if TYPE_CHECKING:
    from dermafed.shared.explain.gradients import Gradient


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image as the network saw it, and what to explain: pixels (H, W, 3), activations (h, w, K)."""

    pixels: Float
    activations: Float
    target: Target


@dataclass(eq=False)
class Instruments:
    """What methods need of one classifier, each built when first used."""

    classifier: keras.Model
    network: Network
    convention: Convention
    wanted_engine: str | None

    @cached_property
    def engine(self) -> Engine:
        """What runs the network."""
        return best_engine(self.network, self.wanted_engine)

    @cached_property
    def gradient(self) -> Gradient:
        """The gradient of a weighted sum of logits by the activations."""
        from dermafed.shared.explain.gradients import logit_gradient

        return logit_gradient(self.network)

    @cached_property
    def class_weights(self) -> Float:
        """The weight of each channel for each class, (K, C), where CAM is defined."""
        return class_weights(self.classifier, self.network)


Method = Callable[[Instruments, Seen], Estimate]


def _score_cam(using: Callable[[ScoreCam], Estimate]) -> Method:
    def method(tools: Instruments, seen: Seen) -> Estimate:
        maps = activation_maps(seen.activations, tools.network.size)
        if not len(maps.masks):
            return Estimate(no_map(tools.network.size), 1.0, 0)
        return using(score_cam(tools.engine, seen.pixels, maps, seen.target, tools.convention))

    return method


def _exact(cam: ScoreCam) -> Estimate:
    return Estimate(exact(cam), 1.0, len(cam.maps.masks))


def _by_gradient(name: str) -> Method:
    def method(tools: Instruments, seen: Seen) -> Estimate:
        from dermafed.shared.explain import gradients

        activations, slope = tools.gradient(seen.pixels, seen.target.one_hot(tools.network.classes))
        cells = getattr(gradients, name)(activations, slope)
        return Estimate(enlarge(cells, tools.network.size), None, 0)

    return method


def _cam(tools: Instruments, seen: Seen) -> Estimate:
    """Rectified like Grad-CAM's map, so that the two are the same wherever both are defined."""
    weights = tools.class_weights @ seen.target.one_hot(tools.network.classes)
    cells = np.maximum(seen.activations @ weights, 0)
    return Estimate(enlarge(cells, tools.network.size), None, 0)


METHODS: dict[str, Method] = {
    "scorecam": _score_cam(fast),
    "scorecam-exact": _score_cam(_exact),
    "gradcam": _by_gradient("grad_cam"),
    "gradcam++": _by_gradient("grad_cam_plus_plus"),
    "gradient-weighted": _by_gradient("gradient_weighted"),
    "cam": _cam,
}
