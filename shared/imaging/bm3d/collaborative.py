"""Collaborative filtering of groups and their aggregation (Dabov et al. 2007, sections III-C to III-E).

The noise has variance 1.

A group is a stack of 2-D transforms; a Walsh-Hadamard transform along the stack completes the 3-D transform.
Left unnormalised, it multiplies the noise's variance by the number of blocks. The group's mean is never
touched, so the filter commutes with adding a constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.bm3d.transforms import (
    BLOCK,
    COEFFICIENTS,
    Floats,
    add_row,
    add_weights,
    compiled,
    transform_row,
)


@compiled
def filter_group(
    blocks: Floats,
    guides: Floats,
    group: NDArray[np.int32],
    threshold: float,
    estimates: Floats,
    weights: Floats,
) -> None:
    """Filter one group and add its weighted estimates, still transformed, to those of its blocks.

    Args:
        blocks: (P, 64) float32, transforms of the noisy blocks.
        guides: (P, 64) float32, transforms of the basic estimate's blocks, for the Wiener filter; or
            (0, 64), for hard thresholding.
        group: (N,) places of the blocks in ``blocks``; -1 where there are no more.
        threshold: lambda_3D of eq. (6), in standard deviations of the noise.
        estimates: (P, 64) float32, added to.
        weights: (P,) float32, added to.
    """
    members = group[: _power_of_two(group)]
    stack = _transform_stack(blocks, members)
    if guides.shape[0] > 0:
        weight = _wiener(stack, _transform_stack(guides, members), np.float32(members.size))
    else:
        weight = _hard_threshold(stack, np.float32(threshold * np.sqrt(members.size)))
    hadamard(stack)
    _scatter(stack, members, weight, estimates, weights)


@compiled
def hadamard(stack: Floats) -> None:
    """Transform a stack of blocks along the stack, in place; twice is N times the stack.

    Args:
        stack: (64 N,) float32, N blocks one after the other, N a power of two.
    """
    span = COEFFICIENTS
    while 4 * span <= stack.size:  # two levels at a time halve the memory traffic
        for start in range(0, stack.size, 4 * span):
            _two_levels(stack[start : start + 4 * span], span)
        span *= 4
    if span < stack.size:
        _one_level(stack, span)


@compiled
def _one_level(stack: Floats, span: int) -> None:
    a, b = stack[:span], stack[span:]
    for t in range(span):
        total, difference = a[t] + b[t], a[t] - b[t]
        a[t], b[t] = total, difference


@compiled
def _two_levels(part: Floats, span: int) -> None:
    a, b, c, d = part[:span], part[span : 2 * span], part[2 * span : 3 * span], part[3 * span :]
    for t in range(span):
        ab, a_b, cd, c_d = a[t] + b[t], a[t] - b[t], c[t] + d[t], c[t] - d[t]
        a[t], b[t], c[t], d[t] = ab + cd, a_b + c_d, ab - cd, a_b - c_d


@compiled
def _power_of_two(group: NDArray[np.int32]) -> int:
    """Count the blocks of a group, rounded down to a power of two."""
    count = 1
    while 2 * count <= group.size and group[2 * count - 1] >= 0:
        count *= 2
    return count


@compiled
def _transform_stack(blocks: Floats, members: NDArray[np.int32]) -> Floats:
    stack = np.empty(members.size * COEFFICIENTS, np.float32)
    for n in range(members.size):
        block, part = blocks[members[n]], stack[n * COEFFICIENTS : (n + 1) * COEFFICIENTS]
        for t in range(COEFFICIENTS):
            part[t] = block[t]
    hadamard(stack)
    return stack


@compiled
def _hard_threshold(stack: Floats, threshold: np.float32) -> np.float32:
    """Drop small coefficients in place (eq. 6); return one over the number that is left (eq. 10)."""
    mean = stack[0]
    stack[0] = 0
    count = np.float32(1)
    for t in range(stack.size):
        is_large = np.float32(abs(stack[t]) > threshold)
        count += is_large
        stack[t] *= is_large
    stack[0] = mean
    return np.float32(1) / count


@compiled
def _wiener(stack: Floats, guide: Floats, variance: np.float32) -> np.float32:
    """Shrink by the guide's energy in place (eq. 8, 9); return one over the squared gains' sum (eq. 11)."""
    mean = stack[0]
    guide[0] = 0
    energy = np.float32(1)
    for t in range(stack.size):
        power = guide[t] * guide[t]
        gain = power / (power + variance)
        energy += gain * gain
        stack[t] *= gain
    stack[0] = mean
    return np.float32(1) / energy


@compiled
def _scatter(
    stack: Floats, members: NDArray[np.int32], weight: np.float32, estimates: Floats, weights: Floats
) -> None:
    scale = weight / np.float32(members.size)  # the two unnormalised Hadamard transforms
    for n in range(members.size):
        estimate, part = estimates[members[n]], stack[n * COEFFICIENTS : (n + 1) * COEFFICIENTS]
        for t in range(COEFFICIENTS):
            estimate[t] += scale * part[t]
        weights[members[n]] += weight


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
        groups: (R, C, N) int32 as :func:`dermafed.shared.imaging.bm3d.matching.match_blocks` returns
            them for ``rows`` and ``depth``.
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
