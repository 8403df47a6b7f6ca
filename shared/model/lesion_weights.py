"""How much each cell of an image counts in what the last layer reads: by how much of it is lesion.

With the features ``lesion``, cell i counts P_i = exp(8 s_i) / sum_j exp(8 s_j). s is the share of the cell
that is lesion, as a lesion finder tells from the maps of blocks 2 to 6 (:mod:`dermafed.shared.model.cells`).
So what moves the score lies on the lesion. While the finder is zero, before there is one, and where it finds
nothing, all cells count the same: the features are then those of ``blocks``.

The finder's weights are the first of the model's flat vector. No gradient trains them.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from dermafed.shared.model.blocks import maps_of_blocks
from dermafed.shared.model.cells import (
    BLOCKS,
    GRID_BLOCK,
    bilinear_matrix,
    places_of,
    positions,
    shares_of_sums,
)

SHARPNESS = 8.0
"""The logarithm of how much more a cell of lesion counts than a cell of skin. Chosen on validation images of
three models: less leaves evidence outside of the lesion, more rests on a few cells."""

LAYER = "lesion_weights"
_FINDER = "lesion_finder"


def lesion_weights(maps: Mapping[int, keras.KerasTensor]) -> keras.KerasTensor:
    """The weight of each cell, float32 (N, G, G), 1 in sum over an image's cells.

    Args:
        maps: the last maps of each block, (N, h, w, K), by the block's number.
    """

    def linear(outputs: int, name: str, bias: bool) -> keras.Layer:
        own = {"use_bias": bias, "kernel_initializer": "zeros", "trainable": False}
        return keras.layers.Conv2D(outputs, 1, name=f"{_FINDER}_{name}", **own)

    grid = int(maps[GRID_BLOCK].shape[1])
    sums = [linear(2, f"block{block}", False)(maps[block]) for block in BLOCKS]
    places = places_of(maps[GRID_BLOCK])
    constant = keras.ops.squeeze(linear(1, "places", True)(places), axis=-1)
    shares = shares_of_sums(sums, constant, grid)
    return keras.layers.Softmax(axis=(1, 2), name=LAYER)(SHARPNESS * shares)


def weighted_statistics(
    maps: keras.KerasTensor, weights: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The weighted mean and variance of each channel, float32 (N, K) each.

    Args:
        maps: (N, h, w, K), h at most G.
        weights: of the cells (N, G, G); see :func:`weights_of_places`.
    """
    weights = weights_of_places(weights, int(maps.shape[1]))
    mean = keras.ops.sum(weights * maps, axis=(1, 2), keepdims=True)
    variance = keras.ops.sum(weights * keras.ops.square(maps - mean), axis=(1, 2))
    return keras.ops.squeeze(mean, axis=(1, 2)), variance


def weights_of_places(weights: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """The cells' weights at the places of a block's maps, (N, h, h, 1), 1 in sum.

    A place of coarser maps counts as the cells that it is interpolated to, in proportion: U^T P U, U the
    bilinear matrix (G, h).

    Args:
        weights: of the cells (N, G, G).
        size: h, at most G.
    """
    grid = int(weights.shape[1])
    if size != grid:
        spread = bilinear_matrix(size, grid)
        weights = keras.ops.matmul(keras.ops.matmul(spread.T, weights), spread)
    return keras.ops.expand_dims(weights, -1)


def finder_variables(model: keras.Model) -> list[keras.Variable]:
    """The variables of the finder within a classifier; none with other features."""
    return [
        variable
        for layer in sorted(model.layers, key=lambda layer: str(layer.name))
        if layer.name.startswith(_FINDER)
        for variable in layer.weights
    ]


def finder_size(network: keras.Model) -> int:
    """How many weights a finder within this EfficientNet has, K + 1."""
    maps = maps_of_blocks(network)
    channels = sum(int(maps[block].shape[-1]) for block in BLOCKS)
    return 2 * channels + int(positions(1).shape[-1]) + 1
