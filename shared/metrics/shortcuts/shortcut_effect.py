"""How much a model's answers change with what is not the lesion: paired, lesion by lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermafed.shared.metrics.fairness.disclosure import FEWEST_OF_CLASS
from dermafed.shared.metrics.intervals import (
    BOOTSTRAP,
    Interval,
    clopper_pearson,
    draw_lesions,
    percentile_interval,
    weighted_auc,
)
from dermafed.shared.metrics.shortcuts.answers import Answers, Booleans, Floats

RESAMPLES = 1000
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Flips:
    """How many of the lesions with one answer get the other; exact interval of the share."""

    flipped: int
    lesions: int
    interval: Interval

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.flipped / self.lesions


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """The change of the log-odds of melanoma, in nats; the mean has an interval unless all are equal."""

    mean: float
    interval: Interval | None
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AucChange:
    """AUC of melanoma before and after, with the intervals of that after and of the difference."""

    before: float
    after: float
    after_interval: Interval | None
    change_interval: Interval | None


@dataclass(frozen=True, slots=True)
class ShortcutEffect:
    """What one artefact does to a model's answers; ``None`` where it rests on fewer than five lesions.

    Attributes:
        to_melanoma: of the lesions answered "benign" without it, those answered "melanoma" with it.
        to_benign: the reverse.
        change: of the score.
        auc: of melanoma.
    """

    to_melanoma: Flips | None
    to_benign: Flips | None
    change: ScoreChange | None
    auc: AucChange | None

    def to_dict(self) -> dict[str, Any]:
        """The effect as JSON types."""
        content = asdict(self)
        if self.change is not None:
            names = [f"{quantile:g}" for quantile in QUANTILES]
            content["change"]["quantiles"] = dict(zip(names, self.change.quantiles, strict=True))
        return content


def shortcut_effect(is_melanoma: Booleans, before: Answers, after: Answers, seed: int = 0) -> ShortcutEffect:
    """Compare a model's answers without and with an artefact.

    The intervals are paired: each resample has the same lesions, drawn within melanomas and others, before
    and after (:func:`dermafed.shared.metrics.intervals.draw_lesions`).

    Args:
        is_melanoma: the truth, bool (L,).
        before: of the images as they are.
        after: of the same lesions with the artefact.
        seed: the same seed gives the same intervals.
    """
    labels = is_melanoma.astype(np.int64)
    draws = draw_lesions(labels, np.arange(labels.size), np.random.default_rng(seed), RESAMPLES)
    return ShortcutEffect(
        _flips(~before.melanoma, after.melanoma),
        _flips(before.melanoma, ~after.melanoma),
        _change(after.scores - before.scores, draws),
        _auc(is_melanoma, before.scores, after.scores, draws),
    )


def disclosed_lesions(effects: Mapping[str, ShortcutEffect], lesions: int) -> int | None:
    """The number of lesions; ``None`` where subtracting from it would give a hidden group's."""
    shown = all(effect.to_melanoma and effect.to_benign for effect in effects.values())
    return lesions if shown else None


def _flips(of: Booleans, other: Booleans) -> Flips | None:
    return flips_of(int((of & other).sum()), int(of.sum()))


def flips_of(flipped: int, lesions: int) -> Flips | None:
    """So many of the lesions with one answer that got the other; ``None`` of fewer than five lesions."""
    interval = clopper_pearson(flipped, lesions)
    return None if interval is None or lesions < FEWEST_OF_CLASS else Flips(flipped, lesions, interval)


def _change(changes: Floats, draws: Floats) -> ScoreChange | None:
    if changes.size < FEWEST_OF_CLASS:
        return None
    means = draws @ changes / changes.size
    constant = np.ptp(changes) == 0  # means then differ by rounding only
    return ScoreChange(
        float(changes.mean()),
        None if constant else percentile_interval(means, BOOTSTRAP.format(unit="lesions")),
        tuple(float(value) for value in np.quantile(changes, QUANTILES)),
    )


def _auc(is_melanoma: Booleans, before: Floats, after: Floats, draws: Floats) -> AucChange | None:
    if min(is_melanoma.sum(), (~is_melanoma).sum()) < FEWEST_OF_CLASS:
        return None
    weights = np.concatenate([np.ones((1, is_melanoma.size)), draws])
    first, second = (weighted_auc(scores, is_melanoma, weights) for scores in (before, after))
    method = BOOTSTRAP.format(unit="lesions")
    return AucChange(
        float(first[0]),
        float(second[0]),
        percentile_interval(second[1:], method),
        percentile_interval((second - first)[1:], method),
    )
