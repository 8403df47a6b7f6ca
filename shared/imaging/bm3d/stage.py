"""One stage of BM3D on one colour plane: filter all groups, aggregate, in a buffer rolling down the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.bm3d.collaborative import filter_group
from dermafed.shared.imaging.bm3d.compiled import compiled
from dermafed.shared.imaging.bm3d.transforms import (
    BLOCK,
    COEFFICIENTS,
    Floats,
    add_row,
    add_weights,
    transform_row,
)


@compiled
def filter_plane(
    noisy: Floats,
    guide: Floats,
    groups: NDArray[np.int32],
    rows: NDArray[np.int64],
    depth: int,
    threshold: float,
) -> Floats:
    """Filter every group of a plane and return the aggregate of eq. (12).

    Only ``depth`` rows of transformed blocks are in memory: enough for the groups of one row of references.

    Args:
        noisy: (H, W) float32, noise of standard deviation 1.
        guide: (H, W) float32, the basic estimate, for the Wiener filter; (0, W) for hard thresholding.
        groups: (R, C, N) int32 as :func:`match_blocks` returns them for ``rows`` and ``depth``.
        rows: (R,) int64, first rows of the reference blocks.
        depth: rows of the buffer, twice the search radius plus one.
        threshold: lambda_3D, in standard deviations of the noise.

    Returns:
        (H, W) float32.
    """
    height, width = noisy.shape
    radius, columns = depth // 2, width - BLOCK + 1
    blocks = np.empty((depth, columns, COEFFICIENTS), np.float32)
    guides = np.empty((depth if guide.size > 0 else 0, columns, COEFFICIENTS), np.float32)
    estimates, weights = np.zeros_like(blocks), np.zeros((depth, columns), np.float32)
    flat_blocks, flat_guides = blocks.reshape(-1, COEFFICIENTS), guides.reshape(-1, COEFFICIENTS)
    flat_estimates, flat_weights = estimates.reshape(-1, COEFFICIENTS), weights.reshape(-1)
    numerator, denominator = np.zeros_like(noisy), np.zeros_like(noisy)
    scratch = np.empty((BLOCK + 1, width), np.float32)
    done = 0
    for row in range(height - BLOCK + 1 + radius):
        # The row enters ``radius`` before the references it may serve, and leaves ``radius`` after them.
        if row <= height - BLOCK:
            transform_row(noisy, row, blocks[row % depth], scratch)
            if guide.size > 0:
                transform_row(guide, row, guides[row % depth], scratch)
        if done < rows.size and rows[done] == row - radius:
            for n in range(groups.shape[1]):
                filter_group(
                    flat_blocks, flat_guides, groups[done, n], threshold, flat_estimates, flat_weights
                )
            done += 1
        leaving = row - 2 * radius
        if leaving >= 0:
            _leave(leaving, estimates, weights, numerator, denominator, scratch)
    for leaving in range(max(0, height - BLOCK + 1 - radius), height - BLOCK + 1):
        _leave(leaving, estimates, weights, numerator, denominator, scratch)
    return numerator / denominator


@compiled
def _leave(
    row: int, estimates: Floats, weights: Floats, numerator: Floats, denominator: Floats, scratch: Floats
) -> None:
    """Add a row that no group will reach any more to the image, and clear its place."""
    place = row % weights.shape[0]
    add_row(estimates[place], row, numerator, scratch)
    add_weights(weights[place], row, denominator, scratch[0])
    estimates[place].fill(0)
    weights[place].fill(0)
