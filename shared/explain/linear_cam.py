"""CAM (Zhou et al. 2016, arXiv:1512.04150): a class's own weights, where only affine layers follow the maps.

Between global average pooling and the last dense layer, batch normalisation is affine and dropout does
nothing in use, so a logit is an affine function of the pooled maps: its slope there is the channel's weight.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.graph import wired_layers
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.network import Network

_AFFINE = (keras.layers.BatchNormalization, keras.layers.Dropout, keras.layers.Dense)


def class_weights(classifier: keras.Model, network: Network) -> Float:
    """The weight of every channel for every class.

    Args:
        classifier: the model that `network` opens.
        network: names the layer with the maps.

    Returns:
        float32 (K, C); a logit is sum_k w_k mean(A_k) and a constant.

    Raises:
        ModelError: other layers than global average pooling, batch normalisation, dropout and one dense layer
            lie between the maps and the logits.
    """
    affine = _chain_after(classifier, network.layer)[1:]
    weights = np.eye(network.channels)
    for layer in affine:
        if isinstance(layer, keras.layers.BatchNormalization):
            weights = weights * _slope(layer)
        elif isinstance(layer, keras.layers.Dense):
            weights = weights @ keras.ops.convert_to_numpy(layer.kernel)
    return weights.astype(np.float32)


def _chain_after(classifier: keras.Model, name: str) -> list[keras.Layer]:
    """Pooling and the affine layers after it, down to the logits."""
    wired = wired_layers(classifier)
    at = next(index for index, one in enumerate(wired) if one.layer.name == name)
    chain = wired[at + 1 :]
    if chain and isinstance(chain[-1].layer, (keras.layers.Softmax, keras.layers.Activation)):
        chain = chain[:-1]
    layers = [one.layer for one in chain]
    fits = (
        layers
        and isinstance(layers[0], keras.layers.GlobalAveragePooling2D)
        and chain[0].inputs[0] is wired[at].output
        and all(isinstance(layer, _AFFINE) for layer in layers[1:])
        and sum(isinstance(layer, keras.layers.Dense) for layer in layers) == 1
        and isinstance(layers[-1], keras.layers.Dense)
    )
    if not fits:
        raise ModelError(
            f"CAM is defined only where a linear layer follows the pooled maps of '{name}'",
            where=classifier.name,
            remedy="Choose gradcam, which is the same where CAM is defined, and goes further",
        )
    return layers


def _slope(norm: keras.layers.BatchNormalization) -> NDArray[np.float64]:
    variance = keras.ops.convert_to_numpy(norm.moving_variance).astype(np.float64)
    scale = keras.ops.convert_to_numpy(norm.gamma) if norm.scale else 1.0
    slope: NDArray[np.float64] = scale / np.sqrt(variance + norm.epsilon)
    return slope
