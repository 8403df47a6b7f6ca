"""A band of a plane: its groups filtered, and their estimates added up (Dabov et al. 2007, section III-E)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.bm3d.collaborative import filter_group
from dermafed.shared.imaging.bm3d.transforms import (
    BLOCK,
    COEFFICIENTS,
    Floats,
    add_lines,
    add_row,
    add_weights,
    compiled,
    transform_row,
)


@compiled
def filter_band(
    noisy: Floats,
    guide: Floats,
    groups: NDArray[np.int32],
    rows: NDArray[np.int64],
    depth: int,
    threshold: float,
) -> tuple[int, Floats, Floats]:
    """Filter the groups of some rows of references, and return their part of both sums of eq. (12).

    Only ``depth`` rows of transformed blocks are in memory: enough for the groups of one row of references.

    Args:
        noisy: (H, 8 (W - 7)) float32, by :func:`dermafed.shared.imaging.bm3d.transforms.transform_lines` of a
            plane with noise of standard deviation 1.
        guide: the same of the basic estimate, for the Wiener filter; (0, 8 (W - 7)) for hard thresholding.
        groups: (R, C, N) int32 as :func:`dermafed.shared.imaging.bm3d.matching.match_blocks` returns
            them for ``rows`` and ``depth``.
        rows: (R,) int64, first rows of the reference blocks, ascending.
        depth: rows of the buffer, twice the search radius plus one.
        threshold: lambda_3D, in standard deviations of the noise.

    Returns:
        The first row of pixels that a group reaches; numerator and denominator from there on, (B, W) float32.
    """
    radius, columns = depth // 2, noisy.shape[1] // BLOCK
    first, last = max(0, rows[0] - radius), min(noisy.shape[0] - BLOCK, rows[-1] + radius)
    height, length, size = last - first + BLOCK, noisy.shape[1], depth * columns * COEFFICIENTS
    # One piece of memory: of many pieces, each is given back at once, and got anew page by page.
    memory = np.empty((3 if guide.size > 0 else 2) * size + height * length, np.float32)
    memory[size : 2 * size + height * length] = 0
    blocks = memory[:size].reshape(-1, COEFFICIENTS)
    estimates = memory[size : 2 * size].reshape(-1, COEFFICIENTS)
    lines = memory[2 * size : 2 * size + height * length].reshape(height, length)
    guides = memory[2 * size + height * length :].reshape(-1, COEFFICIENTS)
    weights = np.zeros(depth * columns, np.float32)
    denominator = np.zeros((height, columns + BLOCK - 1), np.float32)
    scratch = np.empty((2 * BLOCK, length), np.float32)
    done = 0
    for row in range(first, last + 2 * radius + 1):
        # The row enters ``radius`` before the references it may serve, and leaves ``radius`` after them.
        start = row % depth * columns
        if row <= last:
            transform_row(noisy, row, blocks[start : start + columns], scratch)
            if guide.size > 0:
                transform_row(guide, row, guides[start : start + columns], scratch)
        if done < rows.size and rows[done] == row - radius:
            for n in range(groups.shape[1]):
                filter_group(blocks, guides, groups[done, n], threshold, estimates, weights)
            done += 1
        leaving = row - 2 * radius
        if leaving >= first:
            start = leaving % depth * columns
            end = start + columns
            _leave(estimates[start:end], weights[start:end], leaving - first, lines, denominator, scratch)
    numerator = np.zeros_like(denominator)
    add_lines(lines, numerator)
    return first, numerator, denominator


@compiled
def _leave(
    estimates: Floats, weights: Floats, row: int, lines: Floats, denominator: Floats, scratch: Floats
) -> None:
    """Add a row that no group will reach any more to the sums, and clear its place."""
    add_row(estimates, row, lines, scratch)
    add_weights(weights, row, denominator, scratch[0, : denominator.shape[1]])
    estimates.fill(0)
    weights.fill(0)
