"""The faster layers give what Keras' own layers and TensorFlow's own gradients give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

if keras.config.backend() != "tensorflow":
    pytest.skip("TensorFlow's layers", allow_module_level=True)

import tensorflow as tf

from dermafed.shared.training.tensorflow_layers import (
    FoldedDepthwise,
    FusedBatchNormalization,
    Swish,
    depthwise,
    for_training,
    swish,
)

Arrays = list[NDArray[np.float32]]


def gradients(function: Callable[..., Any], *values: NDArray[np.float32]) -> Arrays:
    """The result, and the slopes of a sum of sines of it by each value: upstream gradients of all sizes."""
    inputs = [tf.constant(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = function(*inputs)
        total = tf.reduce_sum(tf.sin(result))
    return [result.numpy(), *(slope.numpy() for slope in tape.gradient(total, inputs))]


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


SIZES = [(7, 7), (8, 11), (15, 14)]


@pytest.mark.parametrize(
    ("size", "padding"),
    [*((size, "SAME") for size in [*SIZES, (4, 4), (2, 1)]), *((size, "VALID") for size in SIZES)],
)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [3, 5, 7])
def test_depthwise_has_the_result_and_the_gradients_of_tensorflow(
    size: tuple[int, int], side: int, stride: int, padding: str
) -> None:
    maps, kernel = normal(3, *size, 6), normal(side, side, 6, 1)
    found = gradients(lambda x, w: depthwise(x, w, stride, padding), maps, kernel)
    strides = [1, stride, stride, 1]
    expected = gradients(lambda x, w: tf.nn.depthwise_conv2d(x, w, strides, padding), maps, kernel)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)


def test_the_gradient_of_swish_is_tensorflows_also_far_from_zero() -> None:
    values = np.linspace(-100, 100, 2001, dtype=np.float32)
    for one, other in zip(gradients(swish, values), gradients(tf.nn.silu, values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def network() -> keras.Model:
    """One layer of each kind, both strides of depthwise convolutions, and what stays as it is."""
    keras.utils.set_random_seed(1)
    layers, image = keras.layers, keras.Input((9, 9, 3))
    maps = layers.Conv2D(6, 3, padding="same", use_bias=False)(image)
    for stride, padding, side in ((1, "same", 5), (2, "valid", 5), (1, "same", 3)):
        maps = layers.Activation("swish")(layers.BatchNormalization(momentum=0.7)(maps))
        maps = layers.DepthwiseConv2D(side, stride, padding, use_bias=False)(maps)
    pooled = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(maps))
    return keras.Model(image, layers.Dense(2)(layers.BatchNormalization()(pooled)))


def trained(faster: bool, steps: int = 4, frozen: bool = False) -> tuple[keras.Model, list[float]]:
    """A network after some steps, and their losses."""
    own = network()
    if frozen:
        for layer in own.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    used = for_training(own) if faster else own
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    used.compile(keras.optimizers.SGD(0.05), loss, jit_compile=False)
    labels = np.array([0, 1, 1, 0, 1])
    return own, [float(used.train_on_batch(normal(5, 9, 9, 3), labels)) for _ in range(steps)]


@pytest.mark.parametrize("frozen", [False, True])
def test_training_steps_change_the_networks_own_weights_and_statistics_as_keras_does(frozen: bool) -> None:
    (found, losses), (expected, own_losses) = (trained(faster, frozen=frozen) for faster in (True, False))
    np.testing.assert_allclose(losses, own_losses, rtol=1e-4)
    assert losses[-1] < losses[0]
    for one, other in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5, err_msg=one.path)


def test_only_what_is_slow_is_done_otherwise() -> None:
    own = network()
    used = [type(layer) for layer in for_training(own).layers]
    assert used.count(FusedBatchNormalization) == 4
    assert used.count(FoldedDepthwise) == 2
    assert used.count(Swish) == 3
    assert used.count(keras.layers.DepthwiseConv2D) == used.count(keras.layers.BatchNormalization) == 1
    paths = [weight.path for weight in own.trainable_weights]
    assert [weight.path for weight in for_training(own).trainable_weights] == paths
