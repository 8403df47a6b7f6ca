"""Fast Score-CAM: the scores of all channels from a few masked passes.

Many channels of a network light up alike. Their masks are clustered, the medoid of each cluster is passed,
and each channel takes the scores of the passed masks nearest to its own. The number of clusters doubles, and
the scores passed before are reused, until two maps in succession agree; with every mask passed, the map is
exact. A channel weighs in the clustering as its map's range, by which an error of its score changes the map.

Where a network is sure, its scores differ so much that the softmax leaves the map to a few channels, and an
error of theirs is an error of the map. So the channels that weigh most by the estimate are passed too, until
those that do have all been; and no map that hangs on one channel is believed at the first agreement.

Measured on real lesions, neither the clusters' mean masks (too smooth), nor Ward's clusters, nor a Gaussian
process over the passed scores comes nearer to the exact map with as many passes. Without the weights, by the
nearest mask alone, or without passing the heaviest, a few images come out far off.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import threadpool_limits

from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.score_cam import ScoreCam

FIRST_CLUSTERS = 16
NEAREST = 4
ENOUGH_AGREEMENT = 0.99
PEAK = 12  # times a channel's mean contribution: a map hangs on channels that contribute more
CLUSTERS_FOR_PEAKS = 64


class Estimate(NamedTuple):
    """A map with its support.

    Attributes:
        heatmap: float32 (H, W).
        agreement: Pearson's r with the map before the last doubling; 1 where the map is exact; ``None`` where
            nothing was estimated.
        passes: masked passes in all.
    """

    heatmap: Float
    agreement: float | None
    passes: int


def fast_score_cam(
    cam: ScoreCam, *, clusters: int = FIRST_CLUSTERS, enough: float = ENOUGH_AGREEMENT
) -> Estimate:
    """Score-CAM from a few passes, doubled until maps agree; from all of them as the last resort.

    Args:
        cam: Score-CAM of one image.
        clusters: how many to begin with.
        enough: the agreement of two maps in succession to stop at.
    """
    masks = cam.maps.masks
    points, ranges = masks.reshape(len(masks), -1), np.ptp(cam.cells, axis=(1, 2))
    scores, passed = np.zeros(len(masks), np.float32), np.zeros(len(masks), np.bool_)
    before = None
    while True:
        wanted = medoids(points, ranges, clusters)
        while True:
            if (fresh := wanted[~passed[wanted]]).size:
                scores[fresh], passed[fresh] = cam.scores(masks[fresh]), True
            guess = estimate_scores(points, scores, passed)
            contributions = np.abs(cam.weights(guess)) * ranges
            wanted = np.argsort(-contributions, kind="stable")[: clusters // 2]
            if passed[wanted].all():
                break
        heatmap = cam.heatmap(guess)
        if passed.all():
            return Estimate(heatmap, 1.0, len(masks))
        agreement = 0.0 if before is None else map_agreement(before, heatmap)
        peaked = contributions.max() > PEAK * contributions.mean()
        if agreement >= enough and (not peaked or clusters >= CLUSTERS_FOR_PEAKS):
            return Estimate(heatmap, agreement, int(passed.sum()))
        before, clusters = heatmap, 2 * clusters


def medoids(points: Float, weights: Float, clusters: int) -> NDArray[np.int64]:
    """The points (N, D) nearest to the means of their k-means clusters, as indices; all if so few.

    Args:
        points: to cluster.
        weights: (N,), 0 or more, not all 0; what a point counts for in a mean.
        clusters: how many.
    """
    if clusters >= len(points):
        return np.arange(len(points))
    # One thread: with so few points, a second one costs ten times the work by waiting.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # points that coincide
        found = KMeans(clusters, n_init=1, max_iter=30, random_state=0).fit(points, sample_weight=weights)
    distances = ((points - found.cluster_centers_[found.labels_]) ** 2).sum(1)
    nearest_first = np.argsort(distances, kind="stable")
    _, first = np.unique(found.labels_[nearest_first], return_index=True)
    return nearest_first[first]


def estimate_scores(points: Float, scores: Float, passed: NDArray[np.bool_]) -> Float:
    """Scores (N,) of all points (N, D): their own of those passed, of others a mean over the nearest passed.

    Args:
        points: the masks.
        scores: (N,), right where passed.
        passed: (N,), one or more.

    Returns:
        Means over the four nearest, weighted by the inverse of their distance.
    """
    nearest = KNeighborsRegressor(min(NEAREST, int(passed.sum())), weights="distance", algorithm="brute")
    with threadpool_limits(1):
        found = nearest.fit(points[passed], scores[passed]).predict(points)
    return np.where(passed, scores, found).astype(np.float32)


def map_agreement(one: Float, other: Float) -> float:
    """Pearson's r of two maps; 1 if both are constant, 0 if one is."""
    one, other = one - one.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if min(lengths) == 0:
        return float(max(lengths) == 0)
    return float(np.vdot(one, other)) / (lengths[0] * lengths[1])
