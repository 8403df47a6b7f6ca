"""Additive evidence: an exact decomposition of a classifier's logits over the image's places.

The last layer reads the means m_k and the deviations d_k = sqrt(var_k + 1e-8) of the last blocks' maps x_k,
each cell i with a weight p(i), through batch normalisation and a dense layer: together one linear layer. With
its slopes a, and with m0 and d0 the moving means, which are the statistics of the mean training image,

    logit_c = constant_c + sum_k a^m_kc (m_k - m0_k) + sum_k a^d_kc (d_k - d0_k)
            = constant_c + sum_i e_c(i),
    e_c(i)  = p(i) ( sum_k a^m_kc (x_k(i) - m0_k) + sum_k a^d_kc (((x_k(i) - m_k)^2 + 1e-8) / d_k - d0_k) ),

since sum_i p(i) = 1, sum_i p(i) x_k(i) = m_k and sum_i p(i) ((x_k(i) - m_k)^2 + 1e-8) = d_k^2. The constant
is the logit of the mean training image.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import keras
import numpy as np

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.maps import Float
from dermafed.shared.model.blocks import maps_of_blocks
from dermafed.shared.model.cells import GRID_BLOCK, bilinear_matrix
from dermafed.shared.model.image_features import LEAST_VARIANCE
from dermafed.shared.model.lesion_weights import LAYER, weights_of_places
from dermafed.shared.model.model_settings import BLOCKS


def default_method(classifier: keras.Model) -> Literal["evidence", "scorecam"]:
    """The method that explains a classifier where none is asked for.

    Additive evidence where the last layer reads the lesion, since the evidence then lies on it; else
    Score-CAM, the paper's.
    """
    return "evidence" if _lesion_weights(classifier) is not None else "scorecam"


def evidence_tensor(classifier: keras.Model) -> keras.KerasTensor:
    """Each cell's part in each logit, as a tensor of the classifier's own graph and with its weights of now.

    Args:
        classifier: of :func:`dermafed.shared.model.classifier.build_classifier`, with statistics of blocks.

    Returns:
        float32 (N, G, G, C) on the grid of block 3, a cell for 8 x 8 pixels: over the cells the sum is the
        logit less that of the mean training image. What metadata adds is in no cell.

    Raises:
        ModelError: the last layer does not read statistics of blocks.
    """
    grid, maps = grid_and_maps(classifier)
    return additive_evidence(maps, grid, *_linear_layer(classifier), _lesion_weights(classifier))


def additive_evidence(
    maps: Sequence[keras.KerasTensor],
    grid: int,
    slopes: keras.KerasTensor | Float,
    means: keras.KerasTensor | Float,
    shares: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Each cell's part in what one linear layer makes of the statistics of maps.

    Args:
        maps: of the last blocks (N, h, w, k), the earliest first; K is twice all their channels.
        grid: G.
        slopes: of the linear layer (K, C).
        means: of the statistics m0 and d0 (K,), from which evidence counts.
        shares: weights of the cells (N, G, G); ``None``: all the same.

    Returns:
        float32 (N, G, G, C): over the cells the sum is (statistics - means) slopes.
    """
    ends = np.cumsum([0, *(2 * int(each.shape[-1]) for each in maps)])
    parts = [
        _on_grid(*_cells(each, shares, slopes[start:end], means[start:end], grid), shares)
        for each, (start, end) in zip(maps, pairwise(ends), strict=True)
    ]
    return keras.ops.transpose(sum(parts[1:], parts[0]), (0, 2, 3, 1))


def _lesion_weights(classifier: keras.Model) -> keras.KerasTensor | None:
    return next((layer.output for layer in classifier.layers if layer.name == LAYER), None)


def grid_and_maps(classifier: keras.Model) -> tuple[int, list[keras.KerasTensor]]:
    """The cells a side of the evidence, and the maps (N, h, w, K) of the last blocks, the earliest first.

    Raises:
        ModelError: the last layer does not read statistics of these maps.
    """
    maps = maps_of_blocks(classifier)
    last = [maps[block] for block in sorted(maps)[-BLOCKS:]]
    layers = {layer.name: layer for layer in classifier.layers}
    if GRID_BLOCK not in maps or len(last) < BLOCKS or not {"head_norm", "logits"} <= set(layers):
        raise _not_additive(classifier)
    if layers["head_norm"].gamma.shape[0] != sum(2 * int(each.shape[-1]) for each in last):
        raise _not_additive(classifier)
    return int(maps[GRID_BLOCK].shape[1]), last


def _linear_layer(classifier: keras.Model) -> tuple[Float, Float]:
    """Batch normalisation and the dense layer as one: its slopes (K, C), and the moving means (K,)."""
    norm, dense = (classifier.get_layer(name) for name in ("head_norm", "logits"))
    gamma, means, variances, kernel = (
        keras.ops.convert_to_numpy(each).astype(np.float64)
        for each in (norm.gamma, norm.moving_mean, norm.moving_variance, dense.kernel)
    )
    slopes = (gamma / np.sqrt(variances + norm.epsilon))[:, None] * kernel[: len(gamma)]
    return slopes.astype(np.float32), means.astype(np.float32)


def _cells(
    maps: keras.KerasTensor,
    shares: keras.KerasTensor | None,
    slopes: keras.KerasTensor | Float,
    means: keras.KerasTensor | Float,
    grid: int,
) -> tuple[keras.KerasTensor, Float]:
    """A block's evidence by cell without its weight, (N, C, h, h), and the matrix (G, h) onto the grid."""
    size, channels = int(maps.shape[1]), int(maps.shape[-1])
    onto = bilinear_matrix(size, grid)
    maps = keras.ops.cast(maps, "float32")
    weights = 1 / size**2 if shares is None else weights_of_places(shares, size)
    mean = keras.ops.sum(maps * weights, axis=(1, 2), keepdims=True)
    squares = keras.ops.square(maps - mean) + LEAST_VARIANCE
    deviation = keras.ops.sqrt(keras.ops.sum(squares * weights, axis=(1, 2), keepdims=True))
    level = keras.ops.matmul(maps - means[:channels], slopes[:channels])
    spread = keras.ops.matmul(squares / deviation - means[channels:], slopes[channels:])
    return keras.ops.transpose(level + spread, (0, 3, 1, 2)), onto


def _on_grid(cells: keras.KerasTensor, onto: Float, shares: keras.KerasTensor | None) -> keras.KerasTensor:
    """Weighted evidence on the grid, (N, C, G, G), of the same sum.

    With weights P, e = P U v U^T: its sum is that of (U^T P U) v. Without, each coarse cell's part v / h^2 is
    spread over the grid by U's columns, brought to the sum 1.
    """
    if shares is None:
        onto = onto / (onto.sum(axis=0) * onto.shape[1])
    spread = keras.ops.matmul(keras.ops.matmul(onto, cells), onto.T)
    return spread if shares is None else keras.ops.expand_dims(shares, 1) * spread


def _not_additive(classifier: keras.Model) -> ModelError:
    return ModelError(
        "Additive evidence needs a model whose last layer reads statistics of its blocks",
        where=classifier.name,
        remedy="Choose another method, such as scorecam; or train with other features than pooled",
    )
