"""A model's weights as one flat float32 vector: what travels, what is averaged, what is saved."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError

FloatVector = NDArray[np.float32]


def exchanged_variables(model: keras.Model) -> list[keras.Variable]:
    """The variables that make up the flat vector, in the model's own order.

    Everything but the input normalisation, whose constants are part of the architecture.
    """
    constants = {
        id(variable)
        for layer in model.layers
        if isinstance(layer, keras.layers.Normalization)
        for variable in layer.variables
    }
    return [variable for variable in model.weights if id(variable) not in constants]


def to_flat(model: keras.Model) -> FloatVector:
    """The model's weights as float32 (P,)."""
    arrays = [np.ravel(keras.ops.convert_to_numpy(v.value)) for v in exchanged_variables(model)]
    return np.concatenate(arrays).astype(np.float32)


def set_flat(model: keras.Model, weights: FloatVector) -> None:
    """Writes a flat vector into the model.

    Raises:
        ModelError: the vector belongs to another architecture.
    """
    variables = exchanged_variables(model)
    sizes = [int(np.prod(variable.shape)) for variable in variables]
    if weights.shape != (sum(sizes),):
        raise ModelError(
            f"The weights have {weights.size:,} values, this architecture has {sum(sizes):,}",
            remedy="Use the settings the weights were trained with",
        )
    for variable, part in zip(variables, np.split(weights, np.cumsum(sizes)[:-1]), strict=True):
        variable.assign(part.reshape(variable.shape))


def batch_norm_mask(model: keras.Model) -> NDArray[np.bool_]:
    """Which values of the flat vector belong to batch normalisation: bool (P,)."""
    own = {
        id(variable)
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.weights
    }
    return np.concatenate([np.full(int(np.prod(v.shape)), id(v) in own) for v in exchanged_variables(model)])


def trainable_mask(model: keras.Model) -> NDArray[np.bool_]:
    """Which values of the flat vector are trained by gradient: bool (P,).

    The others are moving statistics, which no server optimiser may step on.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    return np.concatenate(
        [np.full(int(np.prod(v.shape)), id(v) in trained) for v in exchanged_variables(model)]
    )
