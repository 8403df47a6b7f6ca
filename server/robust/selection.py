"""Rules that weigh whole updates by their distances: Krum, the geometric median, centred clipping.

Each takes the steps' sketches (n, m) and returns one coefficient a clinic, (n,): the result is the sum of the
steps times these. It is a mean of some steps, or, of centred clipping, of these and of no step at all.
"""

from __future__ import annotations

import numpy as np

from dermafed.server.robust.sketch import Floats

ITERATIONS = 100
"""Of Weiszfeld's algorithm, at most."""

SMOOTHING = 1e-6
"""Shortest distance, relative to the median one, that the geometric median divides by."""

CLIPPINGS = 5
"""Iterations of centred clipping."""


def krum(sketches: Floats, hostile: int) -> Floats:
    """Multi-Krum: the mean of the n - f - 2 updates that are nearest to their neighbours.

    Blanchard et al. 2017, section 4, https://arxiv.org/abs/1703.02757: the score of an update is the sum of
    its squared distances to the n - f - 2 nearest others. The distances are those of differences, not of
    products, which cancel where updates are alike.

    Args:
        sketches: (n, m), n of at least 2 f + 3.
        hostile: f.
    """
    near = len(sketches) - hostile - 2
    scores = []
    for number, sketch in enumerate(sketches):
        squared = np.square(sketches - sketch).sum(axis=1)
        scores.append(np.sort(np.delete(squared, number))[:near].sum())
    chosen = np.argsort(scores, kind="stable")[:near]
    result = np.zeros(len(sketches))
    result[chosen] = 1 / near
    return result


def geometric_median(sketches: Floats) -> Floats:
    """The point with the smallest sum of distances.

    The smoothed Weiszfeld algorithm of Pillutla et al. 2022, algorithm 2, https://arxiv.org/abs/1912.13445.

    Args:
        sketches: (n, m), most of them honest.
    """
    shares = np.full(len(sketches), 1 / len(sketches))
    for _ in range(ITERATIONS):
        distances = _distances(sketches, shares)
        shortest = SMOOTHING * lower_median(distances)
        if not shortest:  # most updates are at the centre
            shares = (distances == 0) / np.count_nonzero(distances == 0)
            break
        inverse = 1 / np.maximum(distances, shortest)
        before, shares = shares, inverse / inverse.sum()
        if np.abs(shares - before).max() < 1e-9:
            break
    return shares


def centred_clipping(sketches: Floats) -> Floats:
    """The mean of the steps from a centre, none longer than most are, five times over.

    v <- v + mean_k((x_k - v) min(1, tau / ||x_k - v||)), from v = 0, the model that the clinics started from
    (Karimireddy, He and Jaggi 2021, algorithm 1, https://arxiv.org/abs/2012.10333); tau, which the paper
    leaves open, is the lower median of the distances.

    Args:
        sketches: (n, m), most of them honest.
    """
    clinics = len(sketches)
    coefficients = np.zeros(clinics)
    for _ in range(CLIPPINGS):
        distances = _distances(sketches, coefficients)
        radius = lower_median(distances)
        kept = np.where(distances > radius, radius / np.where(distances > 0, distances, 1.0), 1.0)
        coefficients = coefficients * (1 - kept.mean()) + kept / clinics
    return coefficients


def lower_median(values: Floats) -> float:
    """The median, of two in the middle the lower one: where most are honest, no more than an honest value."""
    return float(np.sort(values)[(len(values) - 1) // 2])


def _distances(sketches: Floats, coefficients: Floats) -> Floats:
    """Of each step to their combination."""
    distances: Floats = np.linalg.norm(sketches - coefficients @ sketches, axis=1)
    return distances
