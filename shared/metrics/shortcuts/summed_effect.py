"""What each artefact does to a model's answers, from the sums of one clinic or of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dermafed.shared.metrics.intervals import (
    BOOTSTRAP,
    Interval,
    percentile_interval,
    weighted_auc,
)
from dermafed.shared.metrics.shortcuts.answers import Floats
from dermafed.shared.metrics.shortcuts.shortcut_effect import (
    QUANTILES,
    RESAMPLES,
    AucChange,
    ScoreChange,
    ShortcutEffect,
    flips_of,
)
from dermafed.shared.metrics.shortcuts.shortcut_sums import SCORE_BINS, Ints, ShortcutSums, change_quantile

NORMAL = "normal, lesions taken as independent"

_Z = 1.959963984540054  # the standard normal's 97.5 % point


def audit_summary(sums: ShortcutSums, names: Sequence[str]) -> dict[str, Any]:
    """An audit as JSON types: ``lesions``, ``auc`` without an artefact, and ``effects`` by artefact.

    Args:
        sums: of a clinic, or of several added up.
        names: of the changes, in their order.
    """
    effects = {name: summed_effect(sums, change) for change, name in enumerate(names)}
    auc = next(iter(effects.values())).auc
    return {
        "lesions": sums.lesions,
        "auc": None if auc is None else auc.before,
        "effects": {name: effect.to_dict() for name, effect in effects.items()},
    }


def summed_effect(sums: ShortcutSums, change: int) -> ShortcutEffect:
    """The effect of one change of the images.

    As :func:`~dermafed.shared.metrics.shortcuts.shortcut_effect.shortcut_effect`, but: lesions within one bin
    of the score count as ties in the AUC, quantiles of the change are those of its bins, the mean change has
    a normal interval, and the change of the AUC none, since sums do not pair the lesions.

    Args:
        sums: of a clinic, or of several added up.
        change: its number, from 0.
    """
    to_melanoma, to_benign = (
        flips_of(int(flips), int(lesions))
        for flips, lesions in zip(sums.flips[change], sums.answers, strict=True)
    )
    return ShortcutEffect(to_melanoma, to_benign, _change(sums, change), _auc(sums, change))


def _change(sums: ShortcutSums, change: int) -> ScoreChange:
    count, (total, squares) = sums.lesions, sums.moments[change]
    mean, variance = total / count, max(0.0, squares - total**2 / count) / (count - 1)
    half = _Z * np.sqrt(variance / count)
    interval = Interval(float(mean - half), float(mean + half), NORMAL) if variance else None
    quantiles = tuple(change_quantile(sums.changes[change], share) for share in QUANTILES)
    return ScoreChange(float(mean), interval, quantiles)


def _auc(sums: ShortcutSums, change: int) -> AucChange | None:
    before, after = sums.scores[0], sums.scores[1 + change]
    if not before.any(axis=1).all():  # one diagnosis alone
        return None
    resampled = _binned_auc(np.stack([_drawn(after[side], side) for side in (0, 1)], axis=1))
    method = BOOTSTRAP.format(unit="lesions")
    first, second = (float(_binned_auc(counts[None])[0]) for counts in (before, after))
    return AucChange(first, second, percentile_interval(resampled, method), None)


def _binned_auc(counts: Floats | Ints) -> Floats:
    """The AUC of lesions by bin, (R, 2, SCORE_BINS): float64 (R,)."""
    bins = np.arange(SCORE_BINS, dtype=np.float64)
    is_melanoma = np.repeat([False, True], SCORE_BINS)
    return weighted_auc(np.tile(bins, 2), is_melanoma, counts.reshape(len(counts), -1).astype(np.float64))


def _drawn(counts: Ints, seed: int) -> Ints:
    """As many lesions drawn again with replacement, RESAMPLES times."""
    lesions = int(counts.sum())
    return np.random.default_rng(seed).multinomial(lesions, counts / lesions, size=RESAMPLES)
