"""Sanity check by randomised weights: a map must change when the model's weights are shuffled.

Adebayo et al. 2018, "Sanity checks for saliency maps" (arXiv:1810.03292), section 3: the model parameter
randomisation test, here at two of its levels, the last layer alone and all layers. The trained values are
permuted within each weight tensor, so that activations have the same scale; freshly initialised, a deep
network with batch normalisation's start values answers every image alike, and its maps would differ for that
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.maps import Explain, Image
from dermafed.shared.explain.quality.stability import correlation

LARGEST_CORRELATION = 0.5
"""A mean correlation above this with the maps of a randomised model fails the check."""


@dataclass(frozen=True, slots=True)
class WeightDependence:
    """Mean Pearson correlation of the trained model's maps with those of randomised models.

    Attributes:
        head: with the last layer randomised: the part of the map that depends on the features, not on the
            class.
        everything: with all layers randomised: the part that depends on the image and the architecture alone.
    """

    head: float
    everything: float

    @property
    def passed(self) -> bool:
        """Whether the method's maps depend on the weights."""
        return self.everything <= LARGEST_CORRELATION


def weight_dependence(
    explain_for: Callable[[keras.Model], Explain],
    model: keras.Model,
    images: Sequence[tuple[Image, int]],
    *,
    seed: int = 0,
) -> WeightDependence:
    """Compare a method's maps of a trained model with its maps of randomised ones.

    A constant map of either counts as no correlation.

    Args:
        explain_for: the method, for a model.
        model: the trained model; it is not changed.
        images: uint8 (S, S, 3) each, with the class to explain; one at least.
        seed: seed of the permutations.

    Raises:
        ModelError: the model cannot be rebuilt or has no weights.
    """
    trained = [explain_for(model)(*each) for each in images]

    def similarity(scope: Literal["head", "everything"]) -> float:
        explain = explain_for(randomised(model, scope, seed=seed))
        maps = zip(trained, images, strict=True)
        return float(np.mean([correlation(heatmap, explain(*each)) for heatmap, each in maps]))

    return WeightDependence(similarity("head"), similarity("everything"))


def randomised(model: keras.Model, scope: Literal["head", "everything"], *, seed: int = 0) -> keras.Model:
    """A copy of a model with its weights permuted; constants of input normalisation stay.

    Args:
        model: the model; it is not changed.
        scope: permute the values of the last layer with weights, or of every layer.
        seed: seed of the permutations.

    Raises:
        ModelError: the model cannot be rebuilt or has no weights.
    """
    copy = _copied(model)
    layers = [layer for layer in _leaves(copy) if layer.weights]
    if not layers:
        raise ModelError("The model has no weights to randomise", remedy="Give a trained model")
    random = np.random.default_rng(seed)
    for layer in layers if scope == "everything" else layers[-1:]:
        for variable in layer.weights:
            values = keras.ops.convert_to_numpy(variable.value)
            variable.assign(random.permutation(values.ravel()).reshape(values.shape))
    return copy


def _copied(model: keras.Model) -> keras.Model:
    try:
        copy = keras.models.clone_model(model)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ModelError(
            "The model cannot be rebuilt from its configuration", remedy="Give a functional Keras model"
        ) from error
    copy.set_weights(model.get_weights())
    return copy


def _leaves(layer: keras.Layer) -> Iterator[keras.Layer]:
    """The layers that are no models themselves, in order, without input normalisation."""
    if isinstance(layer, keras.Model):
        for inner in layer.layers:
            yield from _leaves(inner)
    elif not isinstance(layer, keras.layers.Normalization):
        yield layer
