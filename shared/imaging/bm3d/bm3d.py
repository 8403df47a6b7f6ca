"""BM3D of a colour or gray image: checks, standardisation, colour space, and the two stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ImageError
from dermafed.shared.imaging.bm3d.bands import filter_band
from dermafed.shared.imaging.bm3d.matching import match_blocks, search_offsets
from dermafed.shared.imaging.bm3d.transforms import BLOCK, Floats, transform_lines

Groups = Sequence[Future[NDArray[np.int32]]]
Band = tuple[int, Floats, Floats]

_STEP = 6  # pixels from one reference block to the next
_RADIUS = 16  # of the search, in pixels; even, to end on a searched offset
_GROUP = 32  # blocks at most
_LAMBDA_3D = 2.7

_BANDS = 2  # of reference rows, matched and filtered side by side

_DEPTH = 2 * _RADIUS + 1
_OFFSETS = search_offsets(_RADIUS)
# A standard deviation below float32's resolution of the image's range: the image has nothing to denoise.
_MAX_RANGE = 2.0**24

# Luminance, red against blue, green against both. With rows of norm 1 the noise keeps its standard deviation
# in each channel and stays uncorrelated between them, so no threshold needs a scale of its own.
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def bm3d_rgb(image: Floats, sigma: float, *, threads: int = 1) -> Floats:
    """Denoise an image with BM3D: hard thresholding, then Wiener filtering (Dabov et al. 2007, section IV).

    Colour is treated as C-BM3D does: blocks are matched on the luminance of an opponent space, and the same
    groups serve all three channels. Equivariant: for a > 0, ``bm3d_rgb(a * x + b, a * sigma)`` is
    ``a * bm3d_rgb(x, sigma) + b`` within float32 rounding, so it may come before or after standardising.
    It runs without the GIL: use one thread each for many images, several for a single one. The result does
    not depend on the number of threads.

    Args:
        image: (H, W, 3) RGB or (H, W) gray, float32, in any scale; at least 8x8 pixels. Not changed.
        sigma: standard deviation of the noise in the same scale, in every channel; above 0.
        threads: number of threads, 1 or more.

    Returns:
        The estimate: same shape, float32, same scale, not clipped.

    Raises:
        ImageError: the image is smaller than a block of 8x8 pixels.
        ValueError: another shape, a NaN or infinite value, or a sigma that is not a positive finite number.
    """
    pixels = _checked(image, sigma).astype(np.float64)
    lowest = pixels.min(axis=(0, 1))
    if np.ptp(pixels) > _MAX_RANGE * sigma:
        return pixels.astype(np.float32)
    standard = (pixels - lowest) / sigma
    gray = standard.ndim == 2
    planes = standard[np.newaxis] if gray else to_opponent(standard)
    with ThreadPoolExecutor(threads) as pool:
        denoised = _two_stages(np.ascontiguousarray(planes, dtype=np.float32), pool).astype(np.float64)
    restored = denoised[0] if gray else from_opponent(denoised)
    return np.asarray(restored * sigma + lowest, np.float32)


def _checked(image: Floats, sigma: float) -> Floats:
    image = np.asarray(image, dtype=np.float32)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"BM3D takes an image of shape (H, W, 3) or (H, W), not {image.shape}")
    if min(image.shape[:2]) < BLOCK:
        raise ImageError(
            f"an image of {image.shape[1]}x{image.shape[0]} pixels is too small for BM3D",
            remedy=f"Give at least {BLOCK}x{BLOCK} pixels, or switch BM3D off",
        )
    if not np.isfinite(image).all():
        raise ValueError("BM3D takes finite pixel values only; the image has NaN or infinite values")
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma must be a positive finite number, not {sigma}")
    return image


def _two_stages(noisy: Floats, pool: Executor) -> Floats:
    """Denoise planes (C, H, W), luminance first, with noise of standard deviation 1."""
    rows, columns = (_references(length) for length in noisy.shape[1:])
    bands = np.array_split(rows, min(_BANDS, rows.size))

    def match(plane: Floats) -> list[Future[NDArray[np.int32]]]:
        return [pool.submit(match_blocks, plane, band, columns, _OFFSETS, _DEPTH, _GROUP) for band in bands]

    def filtered(lines: Floats, guide: Floats, groups: Groups) -> list[Future[Band]]:
        return [
            pool.submit(filter_band, lines, guide, found.result(), band, _DEPTH, _LAMBDA_3D)
            for found, band in zip(groups, bands, strict=True)
        ]

    groups = match(noisy[0])
    lines = [_lines(plane) for plane in noisy]
    basic = [filtered(each, each[:0], groups) for each in lines]
    # The luminance is all that the second matching needs: it begins while the chrominances are filtered.
    estimate = _total(basic[0], noisy[0].shape)
    groups = match(estimate)
    guides = [estimate, *(_total(parts, noisy[0].shape) for parts in basic[1:])]
    final = [filtered(each, _lines(guide), groups) for each, guide in zip(lines, guides, strict=True)]
    return np.stack([_total(parts, noisy[0].shape) for parts in final])


def _lines(plane: Floats) -> Floats:
    lines = np.empty((plane.shape[0], BLOCK * (plane.shape[1] - BLOCK + 1)), np.float32)
    transform_lines(plane, lines)
    return lines


def _total(bands: Sequence[Future[Band]], shape: tuple[int, ...]) -> Floats:
    """The aggregate of eq. (12), from the sums of the bands, always added up in the same order."""
    numerator, denominator = np.zeros((2, *shape), np.float32)
    for first, above, below in (band.result() for band in bands):
        numerator[first : first + len(above)] += above
        denominator[first : first + len(below)] += below
    return np.asarray(numerator / denominator, np.float32)


def _references(length: int) -> NDArray[np.int64]:
    """First pixels of the reference blocks along an axis; the last one touches the border."""
    last = length - BLOCK
    return np.append(np.arange(0, last, _STEP), last)


def to_opponent(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate RGB pixels (H, W, 3) into the opponent planes (3, H, W): luminance, then two chrominances."""
    return np.tensordot(_OPPONENT, rgb, axes=(1, 2))


def from_opponent(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate opponent planes (3, H, W) back into RGB pixels (H, W, 3)."""
    return np.tensordot(planes, _OPPONENT, axes=(0, 0))
