"""The 2-D DCT of all 8x8 blocks of one row of positions, and its adjoint, the windowed overlap-add.

A block belongs to many groups. Transforming every position once, and summing what the groups make of it in
the transform domain before a single inverse, gives the estimate of a transform per group and block (all is
linear) for a fraction of the work. Every inner loop runs along a row of the image, so that it vectorises.
The kernels of BM3D are compiled by numba at their first call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

BLOCK = 8
"""Side of a block, in pixels (Dabov et al. 2007, table I)."""

COEFFICIENTS = BLOCK * BLOCK

_KAISER_BETA = 2.0

# Sums may be reordered and fused, so that they vectorise; infinities and NaN stay valid.
_FAST_MATH = {"contract", "reassoc", "nsz"}


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel to machine code that runs on one thread and without the GIL.

    The code is cached beside the source, else in the user's cache folder; where neither can be written (a
    read-only container without a home) each process compiles anew. numba renews a cached kernel when
    its own file has changed: after editing one that another file calls, delete ``__pycache__``.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST_MATH, "error_model": "numpy"}
    try:
        return cast(Kernel, njit(kernel, cache=True, **options))
    except RuntimeError:  # numba found no folder for its cache
        return cast(Kernel, njit(kernel, **options))


def dct_matrix() -> Floats:
    """Return the orthonormal DCT-II of length 8 as an (8, 8) float32 matrix, one frequency a row."""
    frequency, sample = np.mgrid[:BLOCK, :BLOCK]
    matrix = np.cos(np.pi * frequency * (2 * sample + 1) / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_DCT = dct_matrix()
_WINDOW = np.kaiser(BLOCK, _KAISER_BETA).astype(np.float32)
_WINDOWED = _DCT * _WINDOW


@compiled
def transform_row(plane: Floats, y: int, blocks: Floats, scratch: Floats) -> None:
    """Write the DCT of the block at every position of row ``y``.

    Args:
        plane: (H, W) float32.
        y: the blocks' first row, 0 to H - 8.
        blocks: (W - 7, 64) float32, overwritten; coefficient 8 k + m has frequency k down, m across.
        scratch: (9, W) float32, overwritten.
    """
    line, tile = scratch[0], scratch[1:]
    for k in range(BLOCK):
        for x in range(line.size):
            total = np.float32(0)
            for i in range(BLOCK):
                total += _DCT[k, i] * plane[y + i, x]
            line[x] = total
        for m in range(BLOCK):
            for x in range(blocks.shape[0]):
                total = np.float32(0)
                for j in range(BLOCK):
                    total += _DCT[m, j] * line[x + j]
                tile[m, x] = total
        for x in range(blocks.shape[0]):
            for m in range(BLOCK):
                blocks[x, k * BLOCK + m] = tile[m, x]


@compiled
def add_row(blocks: Floats, y: int, numerator: Floats, scratch: Floats) -> None:
    """Add the inverse DCT of a row of blocks, times a Kaiser window, to the numerator of eq. (12).

    Args:
        blocks: (W - 7, 64) float32, each the weighted sum of its estimates; zero where there is none.
        y: the blocks' first row, 0 to H - 8.
        numerator: (H, W) float32, added to.
        scratch: (9, W) float32, overwritten.
    """
    line, tile = scratch[0], scratch[1:]
    for k in range(BLOCK):
        for x in range(blocks.shape[0]):
            for m in range(BLOCK):
                tile[m, x] = blocks[x, k * BLOCK + m]
        line.fill(0)
        for j in range(BLOCK):
            for x in range(blocks.shape[0]):
                total = np.float32(0)
                for m in range(BLOCK):
                    total += _WINDOWED[m, j] * tile[m, x]
                line[x + j] += total
        for i in range(BLOCK):
            for x in range(line.size):
                numerator[y + i, x] += _WINDOWED[k, i] * line[x]


@compiled
def add_weights(weights: Floats, y: int, denominator: Floats, line: Floats) -> None:
    """Add a row of blocks' weights, times the same window, to the denominator of eq. (12).

    Args:
        weights: (W - 7,) float32, each the sum of its estimates' weights.
        y: the blocks' first row, 0 to H - 8.
        denominator: (H, W) float32, added to.
        line: (W,) float32, overwritten.
    """
    line.fill(0)
    for j in range(BLOCK):
        for x in range(weights.size):
            line[x + j] += _WINDOW[j] * weights[x]
    for i in range(BLOCK):
        for x in range(line.size):
            denominator[y + i, x] += _WINDOW[i] * line[x]
