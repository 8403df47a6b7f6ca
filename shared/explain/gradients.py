"""Gradients of a class's score by its activations, and the maps made of them.

The one file of the explanations that names TensorFlow: Keras 3 has no gradient of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.network import Network

Gradient = Callable[[Float, Float], tuple[Float, Float]]
"""An image (H, W, 3) and class weights (C,) to A and d(sum_c weight_c logit_c)/dA, both (h, w, K)."""


def logit_gradient(network: Network) -> Gradient:
    """The gradient of a weighted sum of logits by the activation maps, traced once.

    Args:
        network: the classifier, opened at the maps.
    """

    def both(image: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            activations, logits, _ = network.model(image, training=False)
            score = tf.tensordot(logits[0], weights, 1)
        slope = tape.gradient(score, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return activations[0], slope[0]

    traced = tf.function(both)

    def gradient(image: Float, weights: Float) -> tuple[Float, Float]:
        activations, slope = traced(tf.constant(image[None]), tf.constant(weights))
        return activations.numpy(), slope.numpy()

    return gradient


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
