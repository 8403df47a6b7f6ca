"""Classifiers as others build them: every body with every head."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers, ops

SIDE = 24
Tensor = keras.KerasTensor


def pooled(images: Tensor) -> Tensor:
    maps = layers.Conv2D(6, 3, strides=2, activation="swish")(layers.Rescaling(1 / 128, -1.0)(images))
    return layers.GlobalAveragePooling2D()(maps)


def backbone(name: str | None = None, side: int = SIDE) -> keras.Model:
    images = keras.Input((side, side, 3))
    return keras.Model(images, pooled(images), name=name)


def _augmented(images: Tensor) -> Tensor:
    return pooled(layers.RandomContrast(0.5)(layers.RandomFlip()(images)))


def _nested_twice(images: Tensor) -> Tensor:
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.RandomFlip(), backbone()])
    outer = keras.Input((SIDE, SIDE, 3))
    return keras.Model(outer, layers.Dense(5, name="same")(inner(outer, training=False)))(images)


def _any_size(images: Tensor) -> Tensor:
    inner = keras.Input((None, None, 3))
    return layers.Dropout(0.5)(keras.Model(inner, pooled(inner))(images), training=True)


def _two_branches(images: Tensor) -> Tensor:
    return layers.Concatenate()([backbone("one")(images), layers.GlobalMaxPooling2D()(_conv(images))])


def _conv(images: Tensor) -> Tensor:
    return layers.SeparableConv2D(4, 3, strides=3, activation="relu")(ops.multiply(images, 1 / 255))


def _flat(images: Tensor) -> Tensor:
    return layers.Flatten()(layers.MaxPooling2D()(layers.BatchNormalization()(_conv(images))))


BODIES: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": pooled,
    "augmented": _augmented,
    "nested": lambda images: backbone()(images),
    "nested twice": _nested_twice,
    "nested, of any size": _any_size,
    "nested in part": _two_branches,
    "flat": _flat,
    "maps nested": lambda images: layers.GlobalMaxPooling2D()(
        keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(5, 3, activation="relu")])(images)
    ),
}


def _dense(features: Tensor, **settings: object) -> Tensor:
    return layers.Dense(3, bias_initializer="normal", **settings)(features)


def _nested_head(features: Tensor) -> Tensor:
    given = keras.Input(features.shape[1:])
    return keras.Model(given, _dense(layers.Dropout(0.2)(given), activation="softmax", name="same"))(features)


def _by_convolution(features: Tensor) -> Tensor:
    cell = layers.Reshape((1, 1, features.shape[-1]))(features)
    return layers.Flatten()(layers.Conv2D(3, 1, activation="softmax")(cell))


SOFTMAX: dict[str, Callable[[Tensor], Tensor]] = {
    "layer": lambda features: layers.Softmax()(_dense(features)),
    "activation": lambda features: _dense(features, activation="softmax"),
    "activation that is a layer": lambda features: _dense(features, activation=layers.Softmax()),
    "activation layer": lambda features: layers.Activation("softmax")(_dense(features, name="same")),
    "operation": lambda features: ops.softmax(_dense(features), axis=1),
    "activation function": lambda features: keras.activations.softmax(_dense(features)),
    "cast": lambda features: ops.cast(ops.softmax(_dense(features)), "float64"),
    "dropout after": lambda features: layers.Dropout(0.5)(layers.Softmax()(_dense(features))),
    "linear after": lambda features: layers.Activation("linear")(layers.Softmax()(_dense(features))),
    "nested": _nested_head,
    "convolution": _by_convolution,
    "temperature": lambda features: ops.softmax(_dense(features) / 2.0),
}
SIGMOID: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda features: _dense(features, activation="sigmoid"),
    "sigmoid operation": lambda features: ops.sigmoid(_dense(features)),
    "one sigmoid": lambda features: layers.Dense(1, activation="sigmoid")(features),
    "one sigmoid layer": lambda features: layers.Activation("sigmoid")(layers.Dense(1)(features)),
}
LOGITS: dict[str, Callable[[Tensor], Tensor]] = {
    "dense": _dense,
    "normalised": lambda features: layers.BatchNormalization()(_dense(features)),
    "cast logits": lambda features: ops.cast(_dense(features), "float64"),
}
HEADS = SOFTMAX | SIGMOID | LOGITS


def foreign(body: str, head: str) -> keras.Model:
    """A classifier of images (N, SIDE, SIDE, 3), of random weights."""
    keras.utils.set_random_seed(3)
    images = keras.Input((SIDE, SIDE, 3))
    return keras.Model(images, HEADS[head](BODIES[body](images)))
