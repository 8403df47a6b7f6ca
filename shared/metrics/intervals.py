"""95 % intervals: Wilson's or Clopper-Pearson's for proportions, the bootstrap over lesions for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]

_Z = 1.959963984540054  # the standard normal's 97.5 % point
_CHUNK = 100  # resamples at a time: bounds the memory at 100 x N weights

WILSON = "Wilson, images taken as independent"
CLOPPER_PEARSON = "Clopper-Pearson"
BOOTSTRAP = "percentile bootstrap over {unit}, stratified by class"


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval from ``low`` to ``high`` and the method it comes from."""

    low: float
    high: float
    method: str


def wilson(successes: int, trials: int) -> Interval | None:
    """Score interval of a proportion (Wilson 1927; Brown, Cai and DasGupta 2001, eq. 4).

    Images of one lesion are not independent: where lesions have several images it is somewhat narrow.

    Args:
        successes: from 0 to ``trials``.
        trials: number of images; 0 gives ``None``.

    Returns:
        The interval, within [0, 1].
    """
    if trials == 0:
        return None
    share, z2 = successes / trials, _Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = _Z / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    # Rounding must take neither the share out of its interval nor the interval out of [0, 1].
    low, high = np.clip(centre - spread, 0, share), np.clip(centre + spread, share, 1)
    return Interval(float(low), float(high), WILSON)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Exact interval of a proportion: it has at least its confidence, whatever the true share.

    Clopper and Pearson 1934: the shares at which neither tail of the binomial distribution is below half of
    what the confidence leaves.

    Args:
        successes: from 0 to ``trials``.
        trials: number of independent trials; 0 gives ``None``.
        confidence: in (0, 1).

    Example:
        0 of 29: 0 to 1 - 0.025 ** (1 / 29) = 0.119.
    """
    if trials == 0:
        return None
    tail, failures = (1 - confidence) / 2, trials - successes
    low = betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return Interval(float(low), float(high), CLOPPER_PEARSON)


@dataclass(frozen=True, slots=True)
class Resamples:
    """Values of each metric in every resample: float64 (R,) each; ``auc`` is empty where it is undefined.

    ``recall`` is (R, K), of the K classes that have images.
    """

    method: str
    recall: Floats
    balanced_accuracy: Floats
    f1: Floats
    auc: Floats

    def interval(self, values: Floats) -> Interval | None:
        """The interval of one of the metrics, by :func:`percentile_interval`."""
        return percentile_interval(values, self.method)


def percentile_interval(values: Floats, method: str) -> Interval | None:
    """The 2.5 to the 97.5 percentile of a metric's resamples (Efron and Tibshirani 1993, ch. 13).

    Args:
        values: float64 (R,).
        method: how the resamples were made.

    Returns:
        The interval; ``None`` without values, and where all are equal: then a bootstrap gives no interval.
    """
    if values.size == 0 or np.ptp(values) == 0:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high), method)


def resample(
    labels: NDArray[np.int64], probabilities: Floats, groups: Sequence[str] | None, *, seed: int, count: int
) -> Resamples:
    """Draw lesions with replacement and recompute the macro metrics.

    Images of one lesion are alike, so lesions are drawn, not images. They are drawn within strata, a
    stratum being the lesions with the same set of labels: the class mix of the test stays as it was
    chosen, and no class ever vanishes from a resample. With fewer than about ten lesions in a class
    the intervals are too narrow, as with any bootstrap.

    Args:
        labels: int64 (N,).
        probabilities: float64 (N, C).
        groups: lesion of each image (N); ``None``: every image is a lesion of its own.
        seed: same seed, same intervals.
        count: number of resamples R; may be 0.

    Returns:
        Each class's recall, balanced accuracy, macro F1 and macro AUC of each resample.
    """
    names = np.arange(labels.size) if groups is None else np.asarray(groups)
    _, lesion = np.unique(names, return_inverse=True)
    draws = draw_lesions(labels, lesion, np.random.default_rng(seed), count)
    confusion = _confusions(labels, probabilities, lesion, draws)
    auc = [
        _auc(labels, probabilities, draws[start : start + _CHUNK, lesion])
        for start in range(0, count, _CHUNK)
    ]
    recall, f1 = _recall_and_f1(confusion, np.unique(labels))
    return Resamples(
        method=BOOTSTRAP.format(unit="images" if groups is None else "lesions"),
        recall=recall,
        balanced_accuracy=recall.mean(axis=1),
        f1=f1.mean(axis=1),
        auc=np.concatenate(auc) if auc else np.empty(0),
    )


def draw_lesions(
    labels: NDArray[np.int64], lesion: NDArray[np.intp], rng: np.random.Generator, count: int
) -> Floats:
    """How often each resample has each lesion.

    Args:
        labels: int64 (N,), at least 0; lesions are drawn within those with the same set of labels.
        lesion: the number of each image's lesion (N,), from 0 without a gap.
        rng: the source of randomness.
        count: number of resamples R.

    Returns:
        float64 (R, lesions), whole numbers.
    """
    has_label = np.zeros((lesion.max() + 1, labels.max() + 1), dtype=bool)
    has_label[lesion, labels] = True
    _, strata = np.unique(has_label, axis=0, return_inverse=True)
    draws = np.zeros((count, strata.size))
    for stratum in range(strata.max() + 1):
        members = np.flatnonzero(strata == stratum)
        draws[:, members] = rng.multinomial(members.size, np.full(members.size, 1 / members.size), size=count)
    return draws


def _confusions(
    labels: NDArray[np.int64], probabilities: Floats, lesion: NDArray[np.intp], draws: Floats
) -> Floats:
    """Confusion matrix of each resample (R, C, C): the drawn lesions' own matrices, added."""
    classes = probabilities.shape[1]
    of_lesion = np.zeros((draws.shape[1], classes, classes))
    np.add.at(of_lesion, (lesion, labels, probabilities.argmax(axis=1)), 1)
    return (draws @ of_lesion.reshape(-1, classes**2)).reshape(-1, classes, classes)


def _recall_and_f1(confusion: Floats, present: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Recall and F1 of the classes present (R, present) from confusion matrices (R, C, C)."""
    truth, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    recall, f1 = hits / np.maximum(truth, 1), 2 * hits / np.maximum(truth + predicted, 1)
    return recall[:, present], f1[:, present]


def _auc(labels: NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    """Macro AUC of resamples given as weights (R, N); empty where no class has both sides."""
    of_class = [
        weighted_auc(probabilities[:, index], labels == index, weights)
        for index in np.unique(labels)
        if not (labels == index).all()
    ]
    return np.mean(of_class, axis=0) if of_class else np.empty(0)


def weighted_auc(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """AUC as the share of (positive, negative) pairs in the right order, ties counting a half.

    This is the Mann-Whitney statistic (Hanley and McNeil 1982) for many weightings of the same images:
    the scores are sorted once, then each weighting costs one cumulative sum.

    Args:
        scores: float64 (N,).
        positive: bool (N,), with both values.
        weights: float64 (R, N), at least 0, not all 0 on either side.

    Returns:
        float64 (R,).
    """
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives])]
    below = np.zeros((len(weights), negatives.size + 1))
    np.cumsum(weights[:, negatives], axis=1, out=below[:, 1:])
    first = np.searchsorted(scores[negatives], scores[positive], side="left")
    last = np.searchsorted(scores[negatives], scores[positive], side="right")
    won = (below[:, first] + below[:, last]) / 2
    gains = weights[:, positive]
    return np.asarray((gains * won).sum(axis=1) / (gains.sum(axis=1) * below[:, -1]))


def over_trainings(values: Floats) -> Floats:
    """The mean over trainings in every resample of the images, trainings drawn too.

    Crossed random effects (Owen 2007). K trainings drawn with replacement vary too little, by (K - 1) / K, so
    their deviations from the mean are stretched by the root of K / (K - 1). The draws are the same for all
    values of this shape, so differences are paired.

    Args:
        values: a metric of each training in every resample, (R, K, ...).

    Returns:
        float64 (R, ...); may leave the metric's range.

    Example:
        Two trainings of 0.4 and 0.6 in all resamples: 0.5, or 0.5 +- 0.1 * sqrt(2).
    """
    count, trainings = values.shape[:2]
    drawn = np.random.default_rng(0).multinomial(trainings, np.full(trainings, 1 / trainings), size=count)
    middle, stretch = values.mean(axis=1), np.sqrt(trainings / max(trainings - 1, 1))
    deviations = np.einsum("rk,rk...->r...", drawn / trainings, values - middle[:, None])
    return np.asarray(middle + stretch * deviations)
