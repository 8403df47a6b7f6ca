"""Metrics of a model by group with intervals, and the gaps between groups; small cells are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.fairness.disclosure import Hidden, hide_small
from dermafed.shared.metrics.fairness.group_metrics import (
    METRICS,
    Floats,
    ImagePredictions,
    Ints,
    permuted,
    resampled,
)
from dermafed.shared.metrics.intervals import Interval, over_trainings, percentile_interval

RESAMPLES = 1000
METHOD = "percentile bootstrap over lesions, stratified by class and group, and over trainings"


@dataclass(frozen=True, slots=True)
class Gap:
    """How far apart two groups are.

    Attributes:
        highest: the group with the highest metric.
        lowest: the group with the lowest metric.
        value: the difference.
        interval: of the difference between these two groups; ``None`` where the resamples give none.
        chance: 95th percentile of the gap between randomly permuted groups.
        p: how often such a gap is at least this one (a permutation test).
    """

    highest: str
    lowest: str
    value: float
    interval: Interval | None
    chance: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class GroupComparison:
    """Metrics of a model by group.

    Attributes:
        groups: their names.
        counts: images of each group and class, where seeds differ the fewest (G, C).
        hidden: the counts that must not be disclosed.
        melanoma: index of the class of melanoma, if there is one.
        values: METRICS of each group (F, G), the mean over the seeds.
        samples: the same in every resample of the images, seeds drawn too (R, F, G).
        lots: the same with the groups permuted (R, F, G).
    """

    groups: tuple[str, ...]
    counts: Ints
    hidden: Hidden
    melanoma: int | None
    values: Floats
    samples: Floats
    permuted: Floats

    def disclosed(self, metric: str) -> NDArray[np.bool_]:
        """The groups (G,) whose metric may be disclosed: it is defined, and no count in it is hidden."""
        cells, index = self.hidden.cells, METRICS.index(metric)
        needed = {
            "balanced_accuracy": cells.any(axis=1),
            "melanoma_sensitivity": self.hidden.groups if self.melanoma is None else cells[:, self.melanoma],
            "calibration_error": self.hidden.groups,
        }
        return np.asarray(~needed[metric] & ~np.isnan(self.values[index]))

    def interval(self, metric: str, group: int) -> Interval | None:
        """The 95 % interval of a group's metric; ``None`` where the resamples give none."""
        return percentile_interval(self.samples[:, METRICS.index(metric), group].clip(0, 1), METHOD)

    def gap(self, metric: str) -> Gap | None:
        """The gap between the groups whose metric may be disclosed; ``None`` with fewer than two."""
        index, disclosed = METRICS.index(metric), np.flatnonzero(self.disclosed(metric))
        if disclosed.size < 2:
            return None
        values = self.values[index]
        highest, lowest = disclosed[values[disclosed].argmax()], disclosed[values[disclosed].argmin()]
        gap = float(values[highest] - values[lowest])
        permuted = np.ptp(self.permuted[:, index, disclosed], axis=1)
        return Gap(
            self.groups[highest],
            self.groups[lowest],
            gap,
            percentile_interval(self.samples[:, index, highest] - self.samples[:, index, lowest], METHOD),
            float(np.percentile(permuted, 95)),
            float(((permuted >= gap - 1e-12).sum() + 1) / (len(permuted) + 1)),
        )


def compare_groups(
    images: ImagePredictions, groups: Sequence[str | None], order: Sequence[str], *, draws: int = RESAMPLES
) -> GroupComparison | None:
    """Compare a model's metrics between groups of images.

    Args:
        images: the model's predictions.
        groups: each image's group (N); ``None`` where it is not known: such images are left out.
        order: the groups' names.
        draws: number of resamples, and of permutations.

    Returns:
        The comparison, or ``None`` where no image's group is known.
    """
    known = np.array([group is not None for group in groups])
    if not known.any():
        return None
    names = [name for name in order if name in groups]
    place = np.array([names.index(group) for group in groups if group is not None])
    subset = images.subset(known)
    counts = subset.confusions(place, len(names)).sum(axis=3).min(axis=0).astype(np.int64)
    return GroupComparison(
        tuple(names),
        counts,
        hide_small(counts),
        images.melanoma,
        subset.metrics(place, len(names)).mean(axis=0),
        over_trainings(resampled(subset, place, len(names), number=draws)),
        permuted(subset, place, len(names), number=draws),
    )
