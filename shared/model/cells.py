"""The cells of an image: what a classifier's blocks make of each of its parts, on one grid.

Blocks 2 to 6 see colour and texture as well as shape. Their maps are brought to the grid of block 3, a cell
for 8 x 8 pixels: larger maps by the mean of what a cell covers, smaller ones by bilinear interpolation. With
each cell goes the mean of the 5 x 5 cells around it, and where it is: dermoscopes are centred on the lesion.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.model.blocks import maps_of_blocks

BLOCKS = (2, 3, 4, 5, 6)
GRID_BLOCK = 3
CELL = 8
"""Pixels of a cell's side."""

WINDOW = 5
"""Cells on each side of the square whose mean goes with a cell."""

Floats = NDArray[np.float32]


@lru_cache(maxsize=2)
def cell_model(classifier: keras.Model) -> keras.Model:
    """The model of an image's cells; it shares the classifier's layers and weights, and is made once.

    Args:
        classifier: of :func:`dermafed.shared.model.classifier.build_classifier`, or as loaded from a file.

    Returns:
        From images float32 (N, S, S, 3) in [0, 255] to cells float32 (N, G, G, K): G is S / 8, rounded up,
        and K twice the channels of the five blocks, and 6. (966 for EfficientNetV2-B0.)

    Raises:
        ModelError: the classifier has not these blocks; only EfficientNets have.
    """
    last = maps_of_blocks(classifier)
    if not set(BLOCKS) <= set(last):
        raise ModelError(
            "A lesion finder needs an EfficientNet, whose layers are named by their blocks",
            where=classifier.name,
            remedy="Use a model that fl-simulate or a federation trained",
        )
    grid = int(last[GRID_BLOCK].shape[1])
    maps = keras.ops.concatenate([_on_grid(last[block], grid) for block in BLOCKS], axis=-1)
    means = _resized(maps, mean_matrix(grid))
    cells = keras.ops.concatenate([maps, means, places_of(maps)], axis=-1)
    return keras.Model(classifier.inputs[0], cells)


def grid_of(image_size: int) -> int:
    """The cells G along a side of so many pixels."""
    return -(-image_size // CELL)


def places_of(maps: keras.KerasTensor) -> keras.KerasTensor:
    """Where each cell is, for each image of maps (N, G, G, K): :func:`positions` as (N, G, G, 6)."""
    places = positions(int(maps.shape[1]))
    return keras.ops.zeros_like(maps[..., : places.shape[-1]]) + places


def positions(grid: int) -> Floats:
    """Where each cell is: x, y, x^2, y^2, xy and the distance from the middle, float32 (G, G, 6).

    x and y are from -0.5 at the first cell to 0.5 at the last.
    """
    y, x = np.meshgrid(*[np.linspace(-0.5, 0.5, grid)] * 2, indexing="ij")
    return np.asarray(np.stack([x, y, x**2, y**2, x * y, np.hypot(x, y)], axis=-1), np.float32)


def mean_matrix(grid: int) -> Floats:
    """The matrix (G, G) that takes the mean of each cell and its neighbours along one axis.

    Beyond the border the maps are mirrored, the border's cell included.
    """
    half = WINDOW // 2
    mirrored = np.pad(np.arange(grid), half, mode="symmetric")
    rows = [np.bincount(mirrored[cell : cell + WINDOW], minlength=grid) for cell in range(grid)]
    return np.asarray(np.array(rows) / WINDOW, np.float32)


def area_matrix(size: int, grid: int) -> Floats:
    """The matrix (G, size) that takes the mean of what each of G cells covers of a longer axis."""
    edges = np.arange(grid + 1) * size / grid
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(covered, 0) * grid / size, np.float32)


def bilinear_matrix(size: int, grid: int) -> Floats:
    """The matrix (G, size) that interpolates a shorter axis at the middles of G cells."""
    places = np.clip((np.arange(grid) + 0.5) * size / grid - 0.5, 0, size - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size))), np.float32)


def shares_of_sums(
    sums: Sequence[keras.KerasTensor], constant: keras.KerasTensor | Floats, grid: int
) -> keras.KerasTensor:
    """What a linear function of the cells' features gives, float32 (N, G, G), bounded to [0, 1].

    What brings maps to the grid is linear too. So each block's maps are weighted and summed up first, and
    only the sums are resized: two numbers for each place, where the cells have hundreds.

    Args:
        sums: of each block, its maps weighted as they are and as means over the window, (N, h, w, 2).
        constant: of each cell, (G, G) or (N, G, G).
        grid: G.
    """
    whole = sum((_on_cells(each, grid) for each in sums[1:]), _on_cells(sums[0], grid))
    of_cell, of_window = keras.ops.unstack(whole, num=2, axis=1)
    means = mean_matrix(grid)
    of_window = keras.ops.matmul(keras.ops.matmul(means, of_window), means.T)
    return keras.ops.clip(of_cell + of_window + constant, 0, 1)


def _on_cells(sums: keras.KerasTensor, grid: int) -> keras.KerasTensor:
    """Sums (N, h, w, 2) on the grid of cells, (N, 2, G, G)."""
    first = keras.ops.transpose(sums, (0, 3, 1, 2))
    matrix = _to_grid(int(sums.shape[1]), grid)
    return first if matrix is None else keras.ops.matmul(keras.ops.matmul(matrix, first), matrix.T)


def _on_grid(maps: keras.KerasTensor, grid: int) -> keras.KerasTensor:
    matrix = _to_grid(int(maps.shape[1]), grid)
    return maps if matrix is None else _resized(maps, matrix)


def _to_grid(size: int, grid: int) -> Floats | None:
    """The matrix (G, size) that brings an axis to the grid; ``None`` if it is there."""
    if size == grid:
        return None
    return area_matrix(size, grid) if size > grid else bilinear_matrix(size, grid)


def _resized(maps: keras.KerasTensor, matrix: Floats) -> keras.KerasTensor:
    """The matrix along both axes of maps (N, h, w, K)."""
    rows = keras.ops.einsum("gh,nhwk->ngwk", matrix, maps)
    return keras.ops.einsum("gw,nhwk->nhgk", matrix, rows)
