"""The 2-D DCT of all 8x8 blocks of one row of positions, and its adjoint, the windowed overlap-add.

A block belongs to many groups. Transforming every position once, and summing what the groups make of it in
the transform domain before a single inverse, gives the estimate of a transform per group and block (all is
linear) for a fraction of the work. Of both transforms the part along the rows is shared by the eight blocks
that lie on a row of pixels. Every inner loop runs along a row of the image, so that it vectorises.
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
def transform_lines(plane: Floats, lines: Floats) -> None:
    """Write the DCT along the row of the 8 pixels at every position of a plane.

    Args:
        plane: (H, W) float32.
        lines: (H, 8 (W - 7)) float32, overwritten; 8 x + m has frequency m of the pixels from column x on.
    """
    for y in range(plane.shape[0]):
        pixels, line = plane[y], lines[y]
        for x in range(pixels.size - BLOCK + 1):
            for m in range(BLOCK):
                total = np.float32(0)
                for j in range(BLOCK):
                    total += _DCT[m, j] * pixels[x + j]
                line[x * BLOCK + m] = total


@compiled
def transform_row(lines: Floats, y: int, blocks: Floats, scratch: Floats) -> None:
    """Write the DCT of the block at every position of row ``y``.

    Args:
        lines: (H, 8 (W - 7)) float32, from :func:`transform_lines`.
        y: the blocks' first row, 0 to H - 8.
        blocks: (W - 7, 64) float32, overwritten; coefficient 8 k + m has frequency k down, m across.
        scratch: (16, 8 (W - 7)) float32, overwritten.
    """
    for t in range(lines.shape[1]):
        a, b, c, d = lines[y, t], lines[y + 1, t], lines[y + 2, t], lines[y + 3, t]
        h, g, f, e = lines[y + 4, t], lines[y + 5, t], lines[y + 6, t], lines[y + 7, t]
        a, e, b, f, c, g, d, h = a + e, a - e, b + f, b - f, c + g, c - g, d + h, d - h
        for k in range(0, BLOCK, 2):  # a cosine of an even number of half waves is symmetric
            odd = k + 1
            scratch[k, t] = _DCT[k, 0] * a + _DCT[k, 1] * b + _DCT[k, 2] * c + _DCT[k, 3] * d
            scratch[odd, t] = _DCT[odd, 0] * e + _DCT[odd, 1] * f + _DCT[odd, 2] * g + _DCT[odd, 3] * h
    for x in range(blocks.shape[0]):
        for k in range(BLOCK):
            _copy_eight(scratch, k, x * BLOCK, blocks, x, k * BLOCK)


@compiled
def add_row(blocks: Floats, y: int, lines: Floats, scratch: Floats) -> None:
    """Add the inverse DCT down the columns of a row of blocks, times a Kaiser window.

    Args:
        blocks: (W - 7, 64) float32, each the weighted sum of its estimates; zero where there is none.
        y: the blocks' first row, 0 to H - 8.
        lines: (H, 8 (W - 7)) float32, added to; :func:`add_lines` completes the inverse.
        scratch: (16, 8 (W - 7)) float32, overwritten.
    """
    parts, sums = scratch[:BLOCK], scratch[BLOCK:]
    for x in range(blocks.shape[0]):
        for k in range(BLOCK):
            _copy_eight(blocks, x, k * BLOCK, parts, k, x * BLOCK)
    for t in range(parts.shape[1]):
        a, b, c, d = parts[0, t], parts[2, t], parts[4, t], parts[6, t]
        e, f, g, h = parts[1, t], parts[3, t], parts[5, t], parts[7, t]
        for i in range(BLOCK // 2):
            even = _WINDOWED[0, i] * a + _WINDOWED[2, i] * b + _WINDOWED[4, i] * c + _WINDOWED[6, i] * d
            odd = _WINDOWED[1, i] * e + _WINDOWED[3, i] * f + _WINDOWED[5, i] * g + _WINDOWED[7, i] * h
            sums[i, t], sums[BLOCK - 1 - i, t] = even + odd, even - odd
    for i in range(BLOCK):
        for t in range(sums.shape[1]):
            lines[y + i, t] += sums[i, t]


@compiled
def _copy_eight(source: Floats, row: int, at: int, target: Floats, target_row: int, target_at: int) -> None:
    """Copy 8 numbers along a row; all are read before any is written, so that they move as one."""
    a, b, c, d = source[row, at], source[row, at + 1], source[row, at + 2], source[row, at + 3]
    e, f, g, h = source[row, at + 4], source[row, at + 5], source[row, at + 6], source[row, at + 7]
    target[target_row, target_at], target[target_row, target_at + 1] = a, b
    target[target_row, target_at + 2], target[target_row, target_at + 3] = c, d
    target[target_row, target_at + 4], target[target_row, target_at + 5] = e, f
    target[target_row, target_at + 6], target[target_row, target_at + 7] = g, h


@compiled
def add_lines(lines: Floats, numerator: Floats) -> None:
    """Add the inverse DCT along the rows, times the window, to the numerator of eq. (12).

    Args:
        lines: (H, 8 (W - 7)) float32, the sums of :func:`add_row`.
        numerator: (H, W) float32, added to.
    """
    parts = np.empty(lines.shape[1], np.float32)
    for y in range(numerator.shape[0]):
        pixels, line = numerator[y], lines[y]
        for x in range(pixels.size - BLOCK + 1):
            for j in range(BLOCK):
                total = np.float32(0)
                for m in range(BLOCK):
                    total += _WINDOWED[m, j] * line[x * BLOCK + m]
                parts[x * BLOCK + j] = total
        for j in range(BLOCK):
            for x in range(pixels.size - BLOCK + 1):
                pixels[x + j] += parts[x * BLOCK + j]


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
