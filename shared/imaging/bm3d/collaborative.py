"""Collaborative filtering of one group (Dabov et al. 2007, sections III-C and III-D).

The noise has variance 1.

A group is a stack of 2-D transforms; a Walsh-Hadamard transform along the stack completes the 3-D transform.
Left unnormalised, it multiplies the noise's variance by the number of blocks. The group's mean is never
touched, so the filter commutes with adding a constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.bm3d.transforms import COEFFICIENTS, Floats, compiled


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
