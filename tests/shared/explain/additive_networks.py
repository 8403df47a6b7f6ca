"""Small networks whose last layer reads means and deviations of blocks' maps, weighted or not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dermafed.shared.explain.maps import interpolation

CLASSES, CHANNELS = 3, (4, 5, 3)


class Weights(keras.layers.Layer):  # type: ignore[misc]
    """Weights (N, G, G) of the sum 1 from maps (N, G, G, K): proportional to their first channel."""

    def call(self, maps: Any) -> Any:
        return maps[..., 0] / keras.ops.sum(maps[..., :1], axis=(1, 2))[..., None]


def statistics(maps: Any, weights: Any, grid: int) -> list[Any]:
    """Weighted means and deviations (N, K) of maps (N, h, h, K); without weights the plain ones."""
    if weights is None:
        return [keras.ops.mean(maps, (1, 2)), keras.ops.sqrt(keras.ops.var(maps, (1, 2)) + 1e-8)]
    size = maps.shape[1]
    onto = np.ones((grid, 1)) if size == 1 else np.eye(grid) if size == grid else interpolation(grid, size)
    own = keras.ops.einsum("gh,ngf,fw->nhw", onto, weights, onto)
    mean = keras.ops.einsum("nhw,nhwk->nk", own, maps)
    square = keras.ops.einsum("nhw,nhwk->nk", own, keras.ops.square(maps - mean[:, None, None]))
    return [mean, keras.ops.sqrt(square + 1e-8)]


def headed(images: Any, blocks: list[Any], weights: Any, grid: int, classes: int = CLASSES) -> keras.Model:
    """The model of these blocks' maps with batch normalisation and a dense layer."""
    read = [part for maps in blocks for part in statistics(maps, weights, grid)]
    features = keras.layers.Concatenate()(read)
    features = keras.layers.BatchNormalization(name="head_norm")(features)
    logits = keras.layers.Dense(classes, name="logits")(keras.layers.Dropout(0.2)(features))
    return keras.Model(images, keras.layers.Softmax(name="probabilities")(logits), name="additive")


def additive_classifier(seed: int = 1, *, weighted: bool = True, side: int = 64) -> keras.Model:
    """Convolutions at a grid of side / 8, and coarser blocks; the mean training image is noise."""
    keras.utils.set_random_seed(seed)

    def convolution(block: int, filters: int, strides: int, maps: Any) -> Any:
        options = {"strides": strides, "padding": "same", "activation": "softplus"}
        return keras.layers.Conv2D(filters, 3, name=f"block{block}_conv", **options)(maps)

    images = keras.Input((side, side, 3), name="image")
    maps = keras.layers.Rescaling(1 / 128, -1.0)(images)
    third = convolution(3, 6, 2, convolution(1, 6, 4, maps))
    weights = Weights(name="lesion_weights")(third) if weighted else None
    blocks, maps = [], third
    for block, filters, strides in zip((4, 5, 6), CHANNELS, (1, 2, 2), strict=True):
        maps = convolution(block, filters, strides, maps)
        blocks.append(maps)
    model = headed(images, blocks, weights, third.shape[1])
    randomise_head(model, seed)
    norm = model.get_layer("head_norm")
    mean_image = np.random.default_rng(seed).uniform(0, 255, (1, side, side, 3))
    norm.moving_mean.assign(keras.Model(images, norm.input).predict_on_batch(mean_image)[0])
    return model


def randomise_head(classifier: keras.Model, seed: int) -> None:
    """Random batch normalisation and a random last layer."""
    rng = np.random.default_rng(seed)
    norm, dense = classifier.get_layer("head_norm"), classifier.get_layer("logits")
    norm.set_weights([rng.uniform(0.2, 1, each.shape) for each in norm.get_weights()])
    dense.set_weights([rng.normal(size=each.shape) for each in dense.get_weights()])
