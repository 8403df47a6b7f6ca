"""The lesion finder as a part of the network: its cells come out of the pass that classifies the image."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.model.blocks import maps_of_blocks
from dermafed.shared.model.cells import BLOCKS, GRID_BLOCK, positions, shares_of_sums


def shares_tensor(classifier: keras.Model, finder: LesionFinder) -> keras.KerasTensor:
    """How much of each cell is lesion, as a tensor of the classifier's own graph.

    Args:
        classifier: with the weights that the finder belongs to.
        finder: of this classifier.

    Returns:
        float32 (N, G, G), from 0 to 1: what :meth:`LesionFinder.find` gives of these cells, to 1e-4.

    Raises:
        ModelError: the finder is of another network.
    """
    last = maps_of_blocks(classifier)
    if not set(BLOCKS) <= set(last):
        raise _of_another_network()
    maps = [last[block] for block in BLOCKS]
    grid = int(last[GRID_BLOCK].shape[1])
    own, around, places = _kernels(finder, [int(each.shape[-1]) for each in maps])
    sums = [
        keras.ops.matmul(keras.ops.cast(each, "float32"), np.stack(kernels, axis=1))
        for each, *kernels in zip(maps, own, around, strict=True)
    ]
    constant = (positions(grid) @ places + finder.bias).astype(np.float32)
    return shares_of_sums(sums, constant, grid)


def _kernels(
    finder: LesionFinder, channels: list[int]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]], NDArray[np.float64]]:
    """The finder's weights of each block's maps, of their means over the window, and of the places."""
    count = sum(channels)
    if len(finder.kernel) != 2 * count + positions(1).shape[-1]:
        raise _of_another_network()
    ends = np.concatenate([[0], np.cumsum(channels)])

    def split(kernel: NDArray[np.float64]) -> list[NDArray[np.float32]]:
        return [kernel[start:end].astype(np.float32) for start, end in pairwise(ends)]

    return split(finder.kernel[:count]), split(finder.kernel[count : 2 * count]), finder.kernel[2 * count :]


def _of_another_network() -> ModelError:
    return ModelError(
        "The lesion finder is of another network", remedy="Use the finder that was saved with this model"
    )
