"""EfficientNet's layers in training, as TensorFlow computes them fastest on a CPU.

Keras builds batch normalisation of a dozen operations, each of which reads and writes all maps; TensorFlow
has one. TensorFlow's gradient by the kernel of a depthwise convolution of 5 x 5 takes several times as long
as the same sums as a convolution. Weights, the order of layers and, but for rounding, all results are those
of Keras.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_LEAST_KERNEL = 5  # TensorFlow's own gradient by a kernel of 3 x 3 is the faster one


def for_training(network: keras.Model) -> keras.Model:
    """The same graph of the same layers and weights, slow ones done otherwise; for training steps only."""
    return keras.models.clone_model(network, clone_function=_faster)


def _faster(layer: keras.Layer) -> keras.Layer:
    if isinstance(layer, keras.layers.BatchNormalization) and layer.input_spec.ndim == 4:
        return FusedBatchNormalization(layer, name=layer.name)
    if isinstance(layer, keras.layers.DepthwiseConv2D) and min(layer.kernel_size) >= _LEAST_KERNEL:
        return FoldedDepthwise(layer, name=layer.name)
    if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.silu:
        return Swish(name=layer.name)
    return layer


class FusedBatchNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Batch normalisation of maps (N, H, W, K) over their last axis, with the layer's own weights."""

    def __init__(self, norm: keras.layers.BatchNormalization, **options: Any) -> None:
        super().__init__(**options)
        self.norm = norm

    def call(self, maps: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """The maps, normalised; in training by the batch's statistics, which move those of the layer."""
        norm = self.norm
        if not (training and norm.trainable):
            return norm(maps, training=False)
        nothing = tf.zeros([0])
        fused = tf.raw_ops.FusedBatchNormV3(
            x=maps, scale=norm.gamma, offset=norm.beta, mean=nothing, variance=nothing, epsilon=norm.epsilon
        )
        # TensorFlow's variance is that of the population, which is larger than the batch's; Keras takes that.
        count = tf.cast(tf.size(maps) // maps.shape[-1], tf.float32)
        variance = fused.batch_variance * (tf.maximum(count - 1, 1) / count)
        for moving, value in ((norm.moving_mean, fused.batch_mean), (norm.moving_variance, variance)):
            moving.assign(moving * norm.momentum + value * (1 - norm.momentum))
        return fused.y


class FoldedDepthwise(keras.layers.Layer):  # type: ignore[misc]
    """A depthwise convolution with the layer's own weights and the gradient of :func:`depthwise`."""

    def __init__(self, convolution: keras.layers.DepthwiseConv2D, **options: Any) -> None:
        super().__init__(**options)
        self.convolution = convolution

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        """The maps (N, H, W, K), convolved."""
        own = self.convolution
        return depthwise(maps, tf.convert_to_tensor(own.kernel), own.strides[0], own.padding.upper())


class Swish(keras.layers.Layer):  # type: ignore[misc]
    """x sigmoid(x), the operations of whose gradient XLA joins into one."""

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        """The same shape."""
        return swish(maps)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def swish(maps: tf.Tensor) -> Any:
    """x sigmoid(x)."""
    return tf.nn.silu(maps), lambda upstream: _swish_gradient(maps, upstream)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _swish_gradient(maps: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """The slope of x s, with s = sigmoid(x), is s (1 + x (1 - s))."""
    share = tf.sigmoid(maps)
    return upstream * share * (1 + maps * (1 - share))


def depthwise(maps: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """The depthwise convolution of maps (N, H, W, K) with a kernel (k, k, K, 1), one stride on both axes."""
    strides = [1, stride, stride, 1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(maps: tf.Tensor, kernel: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            by_maps = tf.nn.depthwise_conv2d_backprop_input(
                tf.shape(maps), kernel, upstream, strides, padding
            )
            return by_maps, _by_kernel(maps, kernel.shape[0], upstream, stride, padding)

        return tf.nn.depthwise_conv2d(maps, kernel, strides, padding), gradient

    return convolve(maps, kernel)


def _by_kernel(maps: tf.Tensor, side: int, upstream: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """The gradient by the kernel, (k, k, K, 1): the maps, convolved with the upstream gradient.

    Value (i, j) of channel c is the sum over images n and places y, x of
    maps[n, s y + i, s x + j, c] upstream[n, y, x, c]: a convolution of one image with a channel for each pair
    of n and c, whose kernel's places lie a stride apart.
    """
    count, height, width = tf.unstack(tf.shape(maps))[:3]
    channels, (rows, columns) = maps.shape[-1], upstream.shape[1:3]
    around = [[0, 0], [0, 0], [0, 0], [0, 0]]
    for axis, size, steps in ((1, maps.shape[1], rows), (2, maps.shape[2], columns)):
        missing = max((steps - 1) * stride + side - size, 0) if padding == "SAME" else 0
        around[axis] = [missing // 2, missing - missing // 2]
    image = tf.reshape(tf.transpose(maps, [1, 2, 0, 3]), [1, height, width, count * channels])
    places = tf.reshape(tf.transpose(upstream, [1, 2, 0, 3]), [rows, columns, count * channels, 1])
    sums = tf.nn.depthwise_conv2d(tf.pad(image, around), places, [1] * 4, "VALID", dilations=[stride] * 2)
    of_images = tf.reshape(sums[:, :side, :side], [side, side, count, channels])
    return tf.reduce_sum(of_images, axis=2)[..., None]
