"""Small networks of random weights, and Score-CAM written out one mask at a time."""

from __future__ import annotations

from functools import cache

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.methods import METHODS as EVERY_METHOD
from dermafed.shared.explain.network import Target
from dermafed.shared.explain.score_cam import Convention
from dermafed.shared.model.classifier import IMAGENET_MEAN

SIDE, CELLS, CHANNELS, CLASSES = 24, 6, 12, 3
METHODS = [name for name in EVERY_METHOD if name != "evidence"]
"""Those that are defined for the small classifier."""
Array = NDArray[np.float32]


def small_classifier(
    seed: int = 1,
    *,
    activation: str = "swish",
    end: str = "softmax layer",
    channels: int = CHANNELS,
    side: int = SIDE,
    certainty: float = 1,
) -> keras.Model:
    """Two convolutions, pooling, batch normalisation, one dense layer; its logits times a certainty."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((side, side, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, -1.0)(images)
    x = keras.layers.Conv2D(8, 5, strides=2, padding="same", activation=activation)(x)
    x = keras.layers.Conv2D(channels, 3, strides=2, padding="same", activation=activation, name="last")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.3)(x)
    if end == "softmax layer":
        x = keras.layers.Softmax()(keras.layers.Dense(CLASSES, name="logits")(x))
    else:
        x = keras.layers.Dense(CLASSES, activation=end, name="logits")(x)
    model = keras.Model(images, x, name="small")
    rng = np.random.default_rng(seed)
    # Far from batch normalisation's start, and logits far from each other.
    norm, dense = model.get_layer("norm"), model.get_layer("logits")
    norm.set_weights([rng.uniform(0.5, 2, channels) for _ in range(4)])
    kernel, bias = 2 * rng.normal(size=(channels, CLASSES)), rng.normal(size=CLASSES)
    dense.set_weights([certainty * kernel, certainty * bias])
    return model


def small_image(seed: int = 0, side: int = SIDE) -> NDArray[np.uint8]:
    """A dark blotch on a bright noisy ground."""
    rng = np.random.default_rng(seed)
    image = rng.integers(150, 230, (side, side, 3)).astype(np.uint8)
    centre = tuple(map(int, rng.integers(side // 4, 3 * side // 4, 2)))
    return cv2.circle(image, centre, side // 5, tuple(map(int, rng.integers(0, 120, 3))), -1)


def naive_score_cam(
    classifier: keras.Model, layer: str, image: NDArray[np.uint8], convention: Convention, target: Target
) -> Array:
    """Score-CAM as the paper writes it: one channel, one mask, one pass at a time, in NumPy and OpenCV.

    Returns:
        The map, float64 (H, W), not brought to [0, 1].
    """
    pixels = image.astype(np.float32)
    activations = _output(classifier, layer, pixels.tobytes())
    side = image.shape[0]
    if convention.fill == "blurred":
        blank = cv2.GaussianBlur(pixels, (0, 0), 0.1 * side)
    else:
        blank = np.zeros_like(pixels)
        if convention.fill == "mean":
            blank += 255 * np.array(IMAGENET_MEAN, np.float32)

    def score(picture: Array) -> float:
        end = "logits" if convention.score == "logit" else classifier.layers[-1].name
        values = _output(classifier, end, picture.astype(np.float32).tobytes())
        return float(values[target.index] - (0 if target.against is None else values[target.against]))

    scores, masks, maps = [], [], []
    for k in range(activations.shape[-1]):
        enlarged = cv2.resize(activations[..., k], (side, side), interpolation=cv2.INTER_LINEAR)
        if enlarged.max() == enlarged.min():
            continue
        mask = (enlarged - enlarged.min()) / (enlarged.max() - enlarged.min())
        increase = score(pixels * mask[..., None] + blank * (1 - mask[..., None]))
        if convention.increase:
            increase -= score(blank)
        scores.append(increase)
        masks.append(mask)
        maps.append(enlarged)
    weights = np.array(scores)
    if convention.softmax:
        weights = np.exp(weights) / np.exp(weights).sum()
    total = np.zeros((side, side))
    for weight, mask, enlarged in zip(weights, masks, maps, strict=True):
        total += weight * (mask if convention.basis == "masks" else enlarged)
    return np.maximum(total, 0) if convention.basis == "rectified" else total


@cache  # conventions share most pictures
def _output(classifier: keras.Model, layer: str, picture: bytes) -> Array:
    """What a layer makes of a picture, float32 (S, S, 3)."""
    pixels = np.frombuffer(picture, np.float32).reshape(classifier.input_shape[1:])
    return np.asarray(_up_to(classifier, layer)(pixels[None], training=False))[0]


@cache
def _up_to(classifier: keras.Model, layer: str) -> keras.Model:
    return keras.Model(classifier.input, classifier.get_layer(layer).output)


def unit(array: Array) -> Array:
    """Min-max, written out again."""
    return (array - array.min()) / (array.max() - array.min())
