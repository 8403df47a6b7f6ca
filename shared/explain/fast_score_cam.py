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
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import ThreadpoolController

from dermafed.shared.explain.class_correlation import SIDE, MapOf
from dermafed.shared.explain.maps import Float, map_agreement
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
        map_of: the maps of other classes, from what is at hand.
    """

    heatmap: Float
    agreement: float | None
    passes: int
    map_of: MapOf


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
    values, passed = np.zeros((len(masks), 0), np.float32), np.zeros(len(masks), np.bool_)
    before = None
    while True:
        wanted = medoids(points, ranges, clusters)
        while True:
            if (fresh := wanted[~passed[wanted]]).size:
                values = _with_rows(values, fresh, cam.values(masks[fresh]))
                passed[fresh] = True
            guess = estimate_scores(points, cam.target.score(values), passed)
            contributions = np.abs(cam.weights(guess)) * ranges
            wanted = np.argsort(-contributions, kind="stable")[: clusters // 2]
            if passed[wanted].all():
                break
        heatmap = cam.heatmap(guess)
        if passed.all():
            return Estimate(heatmap, 1.0, len(masks), maps_of_classes(cam, values))
        agreement = 0.0 if before is None else map_agreement(before, heatmap)
        peaked = contributions.max() > PEAK * contributions.mean()
        if agreement >= enough and (not peaked or clusters >= CLUSTERS_FOR_PEAKS):
            map_of = maps_of_classes(cam, estimate_scores(points, values, passed))
            return Estimate(heatmap, agreement, int(passed.sum()), map_of)
        before, clusters = heatmap, 2 * clusters


def maps_of_classes(cam: ScoreCam, values: Float) -> MapOf:
    """The maps of all classes, from what the masks passed for one class gave all of them.

    Args:
        cam: Score-CAM of one image.
        values: of all channels, (K, C).
    """
    return lambda weights: cam.heatmap(values @ weights, (SIDE, SIDE))


def _with_rows(values: Float, rows: NDArray[np.int64], found: Float) -> Float:
    """The values (K, C) with these rows; none are known before the first."""
    filled = values if values.shape[1] else np.zeros((len(values), found.shape[1]), np.float32)
    filled[rows] = found
    return filled


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
    with _threads().limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # points that coincide
        found = KMeans(clusters, n_init=1, max_iter=30, random_state=0).fit(points, sample_weight=weights)
    distances = ((points - found.cluster_centers_[found.labels_]) ** 2).sum(1)
    nearest_first = np.argsort(distances, kind="stable")
    _, first = np.unique(found.labels_[nearest_first], return_index=True)
    return nearest_first[first]


def estimate_scores(points: Float, scores: Float, passed: NDArray[np.bool_]) -> Float:
    """Scores of all points (N, D): their own of those passed, of others a mean over the nearest passed.

    Args:
        points: the masks.
        scores: (N,) or of several classes (N, C), right where passed.
        passed: (N,), one or more.

    Returns:
        Means over the four nearest, weighted by the inverse of their distance.
    """
    nearest = KNeighborsRegressor(min(NEAREST, int(passed.sum())), weights="distance", algorithm="brute")
    with _threads().limit(limits=1):
        found = nearest.fit(points[passed], scores[passed]).predict(points)
    known = passed if scores.ndim == 1 else passed[:, None]
    return np.where(known, scores, found).astype(np.float32)


@cache
def _threads() -> ThreadpoolController:
    """The thread pools of this process, found once: finding them takes longer than the nearest neighbours."""
    return ThreadpoolController()
