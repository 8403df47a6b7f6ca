"""Explain a classifier's predictions: maps of what moved a class's score."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import keras
import numpy as np

from dermafed.shared.errors import ImageError, SettingsError
from dermafed.shared.explain.class_correlation import LARGEST_CORRELATION, class_correlation
from dermafed.shared.explain.evidence import default_method
from dermafed.shared.explain.maps import Contrast, Explain, Float, Image, to_signed_unit, to_unit
from dermafed.shared.explain.methods import METHODS, ForwardPass, OpenedClassifier, no_estimate
from dermafed.shared.explain.network import Target, open_network
from dermafed.shared.explain.score_cam import CONVENTIONS, Convention


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What moved the score of one image.

    Attributes:
        heatmap: the method's own map brought to [0, 1], float32 (H, W), of the network's input size; a signed
            one to [-1, 1] by its largest magnitude, so that 0 is no evidence.
        low: the least value of the method's own map.
        high: its largest value.
        target: the class explained, and the one against it if any.
        probabilities: probability of every class, float32 (C,).
        method: the method's name.
        agreement: of an estimated map, Pearson's r with the estimate before; 1 for an exact one; ``None`` for
            methods that estimate nothing.
        passes: number of masked passes of the network.
        seconds: seconds of work.
        class_correlation: the least Pearson correlation between any two of the image's maps that can be asked
            for; see :func:`dermafed.shared.explain.class_correlation.class_correlation`.
        signed: whether the map is negative where the image speaks against the class, or for the one against
            it.
    """

    heatmap: Float
    low: float
    high: float
    target: Target
    probabilities: Float
    method: str
    agreement: float | None
    passes: int
    seconds: float
    class_correlation: float | None
    signed: bool = False

    @property
    def depends_on_class(self) -> bool | None:
        """Whether another class would have another map; ``None`` for a model of one class.

        Of an estimated Score-CAM the maps of the other classes are estimated from the passes that were made
        for this one.
        """
        return None if self.class_correlation is None else self.class_correlation <= LARGEST_CORRELATION

    @property
    def constant(self) -> bool:
        """Whether the method found nothing that moved the score: the map is zero everywhere."""
        return not self.heatmap.any()

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


class Explainer:
    """Explains one classifier, image by image; expensive parts are built once.

    It explains the weights that the classifier has now: after changing them, make a new one. It serves one
    thread at a time.
    """

    def __init__(
        self,
        classifier: keras.Model,
        *,
        layer: str | None = None,
        convention: Convention | str = "default",
        engine: str | None = None,
        beside: keras.KerasTensor | None = None,
    ) -> None:
        """Open the classifier at its last activation maps.

        Args:
            classifier: see :func:`dermafed.shared.explain.network.open_network`.
            layer: the layer to explain by; by default the last one with maps.
            convention: which Score-CAM, or its name in ``CONVENTIONS``.
            engine: ``"openvino"`` or the name of Keras' backend; by default the fastest that works. One
                that does not work raises SettingsError when first used.
            beside: see :func:`dermafed.shared.explain.network.open_network`.

        Raises:
            ModelError: the model cannot be explained.
            SettingsError: an unknown convention.
        """
        if isinstance(convention, str):
            convention = CONVENTIONS[_known(convention, CONVENTIONS, "convention")]
        self.network = open_network(classifier, layer, beside)
        self.opened = OpenedClassifier(classifier, self.network, convention, engine)

    def explain(
        self,
        image: Image,
        *,
        method: str | None = None,
        target: int | None = None,
        against: int | None = None,
    ) -> Explanation:
        """Explain the score of a class.

        Args:
            image: RGB uint8 (H, W, 3), preprocessed, of the network's input size.
            method: a name in ``METHODS``; by default the classifier's own, see
                :func:`dermafed.shared.explain.evidence.default_method`.
            target: the class; by default the predicted one.
            against: another class: explains why `target` rather than this, by the difference of their scores.

        Returns:
            The map, with its scale and support. The map of an image of one colour is zero.

        Raises:
            ImageError: the image is of another size or type.
            SettingsError: there is no such method, or no such class.
            ModelError: the method is not defined for this network.
        """
        name = _known(method or default_method(self.opened.classifier), METHODS, "method")
        by = METHODS[name]
        self._check(image, target, against)
        start = time.perf_counter()
        pixels = image.astype(np.float32)
        activations, outputs, evidence = by.forward(self.opened, pixels)
        chosen = Target(int(outputs.probabilities[0].argmax()) if target is None else target, against)
        if chosen.index == chosen.against:
            raise SettingsError("A class cannot be explained against itself", remedy="Name two classes")
        probabilities = outputs.probabilities[0]
        forward = ForwardPass(pixels, activations, chosen, probabilities, evidence)
        plain = (image == image[0, 0]).all()
        estimate = no_estimate(self.network) if plain else by.explain(self.opened, forward)
        alike = class_correlation(estimate.map_of, probabilities, by.signed)
        return Explanation(
            heatmap=(to_signed_unit if by.signed else to_unit)(estimate.heatmap),
            low=float(estimate.heatmap.min()),
            high=float(estimate.heatmap.max()),
            target=chosen,
            probabilities=probabilities,
            method=name,
            agreement=estimate.agreement,
            passes=estimate.passes,
            seconds=time.perf_counter() - start,
            class_correlation=alike,
            signed=by.signed,
        )

    def method(self, name: str) -> Explain:
        """One method as a function from image and class to map, as the quality measures take it.

        Raises:
            SettingsError: there is no such method.
        """
        _known(name, METHODS, "method")
        return lambda image, target: self.explain(image, method=name, target=target).heatmap

    def contrast(self, name: str) -> Contrast:
        """The same with a class against it or ``None``, as the measures of class dependence take it."""
        _known(name, METHODS, "method")
        return lambda image, target, against: (
            self.explain(image, method=name, target=target, against=against).heatmap
        )

    def predict(self, images: Float) -> Float:
        """The classifier's probabilities, by the same engine, as the quality measures take them.

        Args:
            images: float32 (N, H, W, 3) in 0-255.

        Returns:
            float32 (N, C).
        """
        return self.opened.engine.predict(images).probabilities

    def _check(self, image: Image, target: int | None, against: int | None) -> None:
        shape = (*self.network.size, 3)
        if image.shape != shape or image.dtype != np.uint8:
            raise ImageError(
                f"The image is {image.dtype} {image.shape}, the network takes uint8 {shape}",
                remedy="Preprocess it as the model's card says",
            )
        for index in (target, against):
            if index is not None and not 0 <= index < self.network.classes:
                raise SettingsError(
                    f"There is no class {index}", remedy=f"The classes are 0 to {self.network.classes - 1}"
                )


def _known(name: str, choices: Collection[str], what: str) -> str:
    if name not in choices:
        raise SettingsError(f"There is no {what} '{name}'", remedy=f"Use one of {', '.join(choices)}")
    return name
