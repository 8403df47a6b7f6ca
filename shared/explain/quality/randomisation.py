"""Sanity check by randomised weights: a map must change when the model's weights are shuffled.

Adebayo et al. 2018, "Sanity checks for saliency maps" (arXiv:1810.03292), section 3: the model parameter
randomisation test, here at two of its levels, the last layer alone and all layers. The trained values are
permuted within each weight tensor, so that activations have the same scale; freshly initialised, a deep
network with batch normalisation's start values answers every image alike, and its maps would differ for that
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import keras
import numpy as np

from dermafed.shared.errors import ModelError


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
