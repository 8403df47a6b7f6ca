"""Activation maps and heatmaps: types, checks, normalisation and bilinear enlargement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Image = NDArray[np.uint8]
Heatmap = NDArray[np.float32]

Explain = Callable[[Image, int], Heatmap]
"""Image uint8 (S, S, 3) and class index to a map float32 (S, S) in [0, 1], high where it matters; a signed
map is in [-1, 1], negative where it speaks against the class."""

Contrast = Callable[[Image, int, int | None], Heatmap]
"""The same of a class rather than another; of the class alone if that is ``None``."""

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Images float32 (N, S, S, 3) in 0-255 to probabilities float32 (N, C)."""


def checked_heatmap(heatmap: NDArray[Any], image: Image) -> Heatmap:
    """Refuse a map that does not belong to its image.

    Args:
        heatmap: (S, S) in [0, 1], or signed in [-1, 1].
        image: uint8 (S, S, 3).

    Returns:
        The map as float32.

    Raises:
        ValueError: image or map have other shapes or types, or the map leaves [-1, 1] (NaN included).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the image is {image.dtype} {image.shape}, not uint8 (S, S, 3)")
    if heatmap.shape != image.shape[:2]:
        raise ValueError(f"the map {heatmap.shape} does not fit the image {image.shape}")
    if not (heatmap.min() >= -1 and heatmap.max() <= 1):
        raise ValueError("the map has values outside [-1, 1]")
    return heatmap.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class ActivationMaps:
    """The activation maps of one image, constant ones left out.

    Bilinear enlarging is linear and its weights sum to 1, so (U(A) - low) / (high - low) equals
    U((A - low) / (high - low)): masks of the image's size never need to exist all at once.

    Attributes:
        raw: A_k, float32 (K, h, w).
        masks: (A_k - low) / (high - low), float32 (K, h, w), with the extremes of the enlarged map: enlarged
            they are H_k in [0, 1].
        size: the image's height and width.
    """

    raw: Float
    masks: Float
    size: tuple[int, int]


def activation_maps(activations: Float, size: tuple[int, int]) -> ActivationMaps:
    """Normalise an image's activations (h, w, K) for images of this height and width."""
    height, width, _ = activations.shape
    rows, columns = interpolation(size[0], height), interpolation(size[1], width)
    raw = np.ascontiguousarray(np.moveaxis(activations, -1, 0), np.float32)
    extremes = rows[_turns(size[0], height)] @ raw @ columns[_turns(size[1], width)].T
    low, high = extremes.min((1, 2)), extremes.max((1, 2))
    # Rounding errors of a constant map are no contrast.
    alive = high - low > 1e-6 * np.maximum(np.abs(low), np.abs(high))
    low, high = low[alive, None, None], high[alive, None, None]
    return ActivationMaps(raw[alive], (raw[alive] - low) / (high - low), size)


def enlarge(cells: Float, size: tuple[int, int]) -> Float:
    """Enlarge a map (h, w) to this height and width, bilinearly."""
    rows, columns = interpolation(size[0], cells.shape[0]), interpolation(size[1], cells.shape[1])
    return (rows @ cells @ columns.T).astype(np.float32, copy=False)


def interpolation(size: int, cells: int) -> Float:
    """Bilinear enlarging along one axis, pixel centres at half-integers, as a matrix (size, cells)."""
    place = _places(size, cells)
    left = _cells_left_of(place, cells)
    weights = np.zeros((size, cells))
    weights[np.arange(size), left] = 1 - (place - left)
    weights[np.arange(size), left + 1] = place - left
    return weights.astype(np.float32)


def _places(size: int, cells: int) -> NDArray[np.float64]:
    """Places of pixel centres among the cells' centres, clipped to them at the margin."""
    return np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)


def _cells_left_of(place: NDArray[np.float64], cells: int) -> NDArray[np.int64]:
    return np.minimum(place.astype(np.int64), cells - 2)


def _turns(size: int, cells: int) -> NDArray[np.bool_]:
    """Pixels where an enlarged map can have its extremes: it is bilinear between cells' centres."""
    change = np.diff(_cells_left_of(_places(size, cells), cells)) != 0
    turns: NDArray[np.bool_] = np.append(True, change) | np.append(change, True)
    return turns


def no_map(size: tuple[int, int]) -> Float:
    """A map of zeros of this height and width."""
    return np.zeros(size, np.float32)


def to_unit(image_map: Float) -> Float:
    """Min-max to [0, 1]; a constant map, or one that is not finite, becomes all zero."""
    low, high = float(image_map.min()), float(image_map.max())
    if not np.isfinite((low, high)).all() or high - low <= 1e-6 * max(abs(low), abs(high)):
        return np.zeros_like(image_map)
    return ((image_map - low) / (high - low)).astype(np.float32, copy=False)


def to_signed_unit(image_map: Float) -> Float:
    """By its largest magnitude to [-1, 1], so that 0 stays 0; one that is not finite becomes all zero."""
    largest = float(np.abs(image_map).max())
    if not np.isfinite(largest) or largest == 0:
        return np.zeros_like(image_map)
    return (image_map / largest).astype(np.float32, copy=False)


def map_agreement(one: Float, other: Float) -> float:
    """Pearson's r of two maps; 1 if both are constant, 0 if one is."""
    one, other = one - one.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if min(lengths) == 0:
        return float(max(lengths) == 0)
    return float(np.vdot(one, other)) / (lengths[0] * lengths[1])
