"""CAM (Zhou et al. 2016, arXiv:1512.04150) and its gradient-based generalisations.

CAM is defined where only affine layers follow the maps. Between global average pooling and the last dense
layer, batch normalisation is affine and dropout does nothing at inference, so a logit is an affine function
of the pooled maps: its slope there is the channel's weight. The others take the slope from a gradient, of
:mod:`dermafed.shared.explain.gradient`.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.network import Network
from dermafed.shared.model.graph import graph_of

_AFTER_LOGITS = ("Softmax", "Sigmoid", "Activation", "Cast")
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


def _chain_after(classifier: keras.Model, name: str) -> list[keras.Operation]:
    """Pooling and the affine layers after it, down to the logits."""
    graph = graph_of(classifier)
    steps = graph.steps
    at = next(index for index, step in enumerate(steps) if step.operation.name == name)
    chain = [step for step in steps[at + 1 :] if type(step.operation).__name__ not in _AFTER_LOGITS]
    layers = [step.operation for step in chain]
    fits = (
        layers
        and isinstance(layers[0], keras.layers.GlobalAveragePooling2D)
        and chain[0].inputs[0] is steps[at].output
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


def grad_cam(activations: Float, gradient: Float) -> Float:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, eq. 1 and 2): float32 (h, w).

    Args:
        activations: (h, w, K).
        gradient: of the logit by the activations, (h, w, K).
    """
    return _weighted(activations, gradient.mean((0, 1)))


def gradient_weighted(activations: Float, gradient: Float) -> Float:
    """The DermaFed paper's eq. (9) and (10): w_k = ReLU(dS/dA_k), L = ReLU(sum_k w_k A_k); float32 (h, w).

    The paper calls this Score-CAM; it is of Grad-CAM's family. Its weight of a channel is one number, read
    here as ReLU of the gradient's mean over the map.
    """
    return _weighted(activations, np.maximum(gradient.mean((0, 1)), 0))


def grad_cam_plus_plus(activations: Float, gradient: Float) -> Float:
    """Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063, eq. 10 to 12, exponential score): (h, w)."""
    square = gradient**2
    total = activations.sum((0, 1)) * gradient
    share = 2 * square + total * square
    alpha = np.divide(square, share, out=np.zeros_like(square), where=np.abs(share) > 1e-12)
    return _weighted(activations, (alpha * np.maximum(gradient, 0)).sum((0, 1)))


def _weighted(activations: Float, weights: Float) -> Float:
    cells: Float = np.maximum(activations @ weights, 0)
    return cells
