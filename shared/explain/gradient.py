"""The gradient of a classifier's logits by its activation maps.

Keras 3 takes no gradients itself, so this asks TensorFlow or JAX, whichever is its backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.network import Network

Gradient = Callable[[Float, Float], tuple[Float, Float]]
"""An image (H, W, 3) and class weights (Q, C) to A, (h, w, K), and for each of the Q sets of weights
d(sum_c weight_c logit_c)/dA, (Q, h, w, K)."""


def logit_gradient(network: Network) -> Gradient:
    """The gradients of weighted sums of logits by the activation maps, traced once for each number of sums.

    Args:
        network: the classifier, opened at the maps.

    Raises:
        SettingsError: Keras' backend is neither TensorFlow nor JAX.
    """
    backend = keras.config.backend()
    if backend not in _GRADIENTS:
        raise SettingsError(
            f"There are no gradients with the backend {backend}",
            where="KERAS_BACKEND",
            remedy="Set it to tensorflow or jax, or choose scorecam, which needs none",
        )
    return _GRADIENTS[backend](network)


def _by_tensorflow(network: Network) -> Gradient:
    import tensorflow as tf

    def both(image: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(image)
            activations, logits, _ = network.model(image, training=False)
            values = tf.cast(logits[0], tf.float32)
            scores = [tf.tensordot(values, each, 1) for each in tf.unstack(weights)]
        # Only what follows the maps is walked back, once for each sum.
        zero = tf.UnconnectedGradients.ZERO
        slopes = [tape.gradient(score, activations, unconnected_gradients=zero)[0] for score in scores]
        return tf.cast(activations[0], tf.float32), tf.cast(tf.stack(slopes), tf.float32)

    traced = tf.function(both)

    def gradient(image: Float, weights: Float) -> tuple[Float, Float]:
        activations, slopes = traced(tf.constant(image[None]), tf.constant(weights))
        return activations.numpy(), slopes.numpy()

    return gradient


def _by_jax(network: Network) -> Gradient:
    import jax

    whole = network.whole
    maps, logits, _ = whole.outputs
    # What lies behind the maps, which it takes as an input; what does not follow from them stays the image's.
    rest = keras.Model([*whole.inputs, maps], logits)

    def inputs(image: Float) -> list[Float]:
        shapes = [tensor.shape[1:] for tensor in whole.inputs]
        return [image[None] if len(shape) == 3 else np.zeros((1, *shape), np.float32) for shape in shapes]

    def slopes_of(state: Any, given: Any, activations: Any, weights: Any) -> Any:
        def values(changed: Any) -> Any:
            found, _ = rest.stateless_call(*state, [*given, changed], training=False)
            return found[0].astype("float32")

        _, back = jax.vjp(values, activations)
        return jax.vmap(lambda each: back(each)[0][0])(weights).astype("float32")

    compiled: Any = jax.jit(slopes_of)

    def gradient(image: Float, weights: Float) -> tuple[Float, Float]:
        activations = network.model.predict_on_batch(image[None])[0]
        # Given anew with each call, since the weights of the model may be others by then.
        state = [
            [variable.value for variable in some]
            for some in (rest.trainable_variables, rest.non_trainable_variables)
        ]
        slopes = compiled(state, inputs(image), activations, weights)
        return np.array(activations[0], np.float32), np.array(slopes)

    return gradient


_GRADIENTS = {"tensorflow": _by_tensorflow, "jax": _by_jax}
