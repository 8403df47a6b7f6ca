"""The explanation methods by name, and what they share of one classifier.

To add a method, write its map in a module, add it to :data:`METHODS`, and describe it in
docs/explanations.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from dermafed.shared.explain.cam import (
    class_weights,
    grad_cam,
    grad_cam_plus_plus,
    gradient_weighted,
)
from dermafed.shared.explain.class_correlation import SIDE, compared_classes
from dermafed.shared.explain.engine import Engine, best_engine
from dermafed.shared.explain.evidence import default_method, evidence_tensor
from dermafed.shared.explain.fast_score_cam import Estimate, fast_score_cam, maps_of_classes
from dermafed.shared.explain.gradient import Gradient, logit_gradient
from dermafed.shared.explain.maps import Float, activation_maps, enlarge, no_map
from dermafed.shared.explain.network import Network, Outputs, Target, open_network
from dermafed.shared.explain.score_cam import Convention, ScoreCam, score_cam


@dataclass(frozen=True, slots=True, eq=False)
class ForwardPass:
    """An image's way through the network, and what to explain of it.

    Attributes:
        pixels: the image, float32 (H, W, 3) in 0-255.
        activations: the network's last activation maps, (h, w, K).
        target: the score to explain.
        probabilities: of every class, (C,).
        evidence: each cell's part in each logit, (G, G, C), where the method asks for it.
    """

    pixels: Float
    activations: Float
    target: Target
    probabilities: Float
    evidence: Float | None = None


@dataclass(eq=False)
class OpenedClassifier:
    """What the methods need of one classifier; each part is built when first used.

    Attributes:
        classifier: the model to explain.
        network: the same, opened at its activation maps.
        convention: the definition of Score-CAM.
        wanted_engine: the engine asked for; ``None`` for the fastest that works.
    """

    classifier: keras.Model
    network: Network
    convention: Convention
    wanted_engine: str | None

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs the network."""
        return best_engine(self.network, self.wanted_engine)

    @cached_property
    def evidence_engine(self) -> Engine:
        """The engine whose pass gives the evidence too, where the classifier has additive evidence."""
        tensor = evidence_tensor(self.classifier)
        return best_engine(open_network(self.classifier, self.network.layer, tensor), self.wanted_engine)

    @cached_property
    def gradient(self) -> Gradient:
        """The gradients of weighted sums of logits by the activations."""
        return logit_gradient(self.network)

    @cached_property
    def class_weights(self) -> Float:
        """The weight of each channel for each class, (K, C), where CAM is defined."""
        return class_weights(self.classifier, self.network)


def _plain(opened: OpenedClassifier, pixels: Float) -> tuple[Float, Outputs, Float | None]:
    return *opened.engine.forward(pixels), None


@dataclass(frozen=True, slots=True)
class Method:
    """An explanation method.

    Attributes:
        title: its name as it is printed.
        explain: from a classifier and one forward pass to the map.
        forward: from a classifier and an image to the activations, the outputs, and the evidence if needed.
        signed: whether the map is negative where the image speaks against the class.
    """

    title: str
    explain: Callable[[OpenedClassifier, ForwardPass], Estimate]
    forward: Callable[[OpenedClassifier, Float], tuple[Float, Outputs, Float | None]] = _plain
    signed: bool = False


def _score_cam(title: str, estimate: Callable[[ScoreCam], Estimate]) -> Method:
    def explain(opened: OpenedClassifier, forward: ForwardPass) -> Estimate:
        maps = activation_maps(forward.activations, opened.network.size)
        if not len(maps.masks):
            return no_estimate(opened.network, 1.0)
        return estimate(score_cam(opened.engine, forward.pixels, maps, forward.target, opened.convention))

    return Method(title, explain)


def _exact(cam: ScoreCam) -> Estimate:
    values = cam.values(cam.maps.masks)
    heatmap = cam.heatmap(cam.target.score(values))
    return Estimate(heatmap, 1.0, len(cam.maps.masks), maps_of_classes(cam, values))


def no_estimate(network: Network, agreement: float | None = None) -> Estimate:
    """A map of zeros, for every class."""
    return Estimate(no_map(network.size), agreement, 0, lambda weights: no_map((SIDE, SIDE)))


def _by_gradient(title: str, cells_of: Callable[[Float, Float], Float]) -> Method:
    def explain(opened: OpenedClassifier, forward: ForwardPass) -> Estimate:
        asked = forward.target.one_hot(opened.network.classes)
        classes = compared_classes(forward.probabilities)
        each = np.eye(opened.network.classes, dtype=np.float32)[classes]
        activations, (gradient, *slopes) = opened.gradient(forward.pixels, np.vstack([asked, each]))

        def map_of(weights: Float) -> Float:  # a gradient is linear in what it is of
            return enlarge(cells_of(activations, np.tensordot(weights[classes], slopes, 1)), (SIDE, SIDE))

        return Estimate(enlarge(cells_of(activations, gradient), opened.network.size), None, 0, map_of)

    return Method(title, explain)


def _cam(opened: OpenedClassifier, forward: ForwardPass) -> Estimate:
    """Rectified like Grad-CAM's map, so that the two are the same wherever both are defined."""

    def cells(weights: Float) -> Float:
        return np.maximum(forward.activations @ (opened.class_weights @ weights), 0)

    heatmap = enlarge(cells(forward.target.one_hot(opened.network.classes)), opened.network.size)
    return Estimate(heatmap, None, 0, lambda weights: enlarge(cells(weights), (SIDE, SIDE)))


def _with_evidence(opened: OpenedClassifier, pixels: Float) -> tuple[Float, Outputs, Float | None]:
    beside = opened.evidence_engine.forward_beside
    assert beside is not None
    return beside(pixels)


def _evidence(opened: OpenedClassifier, forward: ForwardPass) -> Estimate:
    """Linear in the classes: why one rather than another is the difference of their evidence."""
    cells = forward.evidence
    assert cells is not None
    heatmap = enlarge(cells @ forward.target.one_hot(opened.network.classes), opened.network.size)
    return Estimate(heatmap, None, 0, lambda weights: enlarge(cells @ weights, (SIDE, SIDE)))


METHODS = {
    "scorecam": _score_cam("Score-CAM", fast_score_cam),
    "scorecam-exact": _score_cam("Score-CAM, exact", _exact),
    "gradcam": _by_gradient("Grad-CAM", grad_cam),
    "gradcam++": _by_gradient("Grad-CAM++", grad_cam_plus_plus),
    "gradient-weighted": _by_gradient("Gradient-weighted CAM", gradient_weighted),
    "cam": Method("CAM", _cam),
    "evidence": Method("Additive evidence", _evidence, _with_evidence, signed=True),
}


def offered_methods(classifier: keras.Model) -> tuple[str, ...]:
    """The methods that a reader chooses between: the classifier's default first, and Score-CAM always."""
    return tuple(dict.fromkeys((default_method(classifier), "scorecam")))
