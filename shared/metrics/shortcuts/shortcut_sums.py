"""A clinic's audit for shortcuts as counts and sums of lesions; those of several clinics add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.fairness.disclosure import FEWEST_OF_CLASS
from dermafed.shared.metrics.shortcuts.answers import LEAST, Answers, Booleans, Floats

Ints = NDArray[np.int64]

MOST_LESIONS = 300
"""A clinic audits no more of its lesions: of 300, no flip at all proves a share below 1.3 %."""

SCORE_BINS, SCORE_STEP = 1024, 1 / 32
"""Scores from -16 to 16 nats: fine, since those of erased lesions are close together."""

CHANGE_BINS, STEP = 65, 0.25
"""Changes from -8 to 8 nats, each bin around a multiple of the step. The outermost bins also have what lies
beyond, as those of scores do."""

_LARGEST = 2.1 * np.log(1 / LEAST)  # a change, from one end of the scores to the other, and rounding
_REMEDY = "Install the same version of DermaFed at every clinic"


@dataclass(frozen=True, slots=True, eq=False)
class ShortcutSums:
    """Counts and sums of lesions, without and with each of A changes of their images.

    Every group of lesions, by diagnosis or by answer, has five lesions or none.

    Attributes:
        answers: lesions answered "benign" [0] and "melanoma" [1] without a change, int64 (2,).
        flips: of these, those with the other answer after each change, int64 (A, 2).
        scores: lesions by their log-odds of melanoma, without a change [0] and after each; of other
            diagnoses [0] and of melanoma [1]; int64 (1 + A, 2, SCORE_BINS).
        changes: lesions by the change of their log-odds, int64 (A, CHANGE_BINS).
        moments: sums of these changes [0] and of their squares [1], float64 (A, 2).
    """

    answers: Ints
    flips: Ints
    scores: Ints
    changes: Ints
    moments: Floats

    @classmethod
    def of(cls, is_melanoma: Booleans, before: Answers, after: Sequence[Answers]) -> ShortcutSums:
        """Sum up a clinic's lesions; those of a group of fewer than five are left out of everything.

        Args:
            is_melanoma: the truth, bool (L,).
            before: the answers for the images as they are.
            after: those for the same lesions after each change.

        Raises:
            DatasetError: no lesion is left.
        """
        shown = _in_large_groups(is_melanoma, before.melanoma)
        if not shown.any():
            raise DatasetError(
                f"{shown.size} lesions are too few for an audit",
                remedy=f"Give at least {FEWEST_OF_CLASS} test lesions of one diagnosis",
            )
        truth, answered = is_melanoma[shown].astype(np.int64), before.melanoma[shown]
        scores = np.stack([each.scores[shown] for each in (before, *after)])
        flipped = np.stack([each.melanoma[shown] != answered for each in after])
        changes = scores[1:] - scores[0]
        return cls(
            np.array([(~answered).sum(), answered.sum()], np.int64),
            np.stack([(flipped & ~answered).sum(axis=1), (flipped & answered).sum(axis=1)], axis=1),
            np.stack([_counts(own, truth) for own in _score_bins(scores)]),
            np.stack([np.bincount(own, minlength=CHANGE_BINS) for own in _change_bins(changes)]),
            np.stack([changes.sum(axis=1), (changes**2).sum(axis=1)], axis=1),
        )

    def __add__(self, other: ShortcutSums) -> ShortcutSums:
        return ShortcutSums(
            self.answers + other.answers,
            self.flips + other.flips,
            self.scores + other.scores,
            self.changes + other.changes,
            self.moments + other.moments,
        )

    @property
    def lesions(self) -> int:
        """Number of lesions."""
        return int(self.answers.sum())

    def validate(self, changes: int) -> None:
        """Refuse what no clinic's lesions could give, or what shows a group of few.

        Args:
            changes: A, the number of changes.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        shapes = ((2,), (changes, 2), (1 + changes, 2, SCORE_BINS), (changes, CHANGE_BINS))
        for counts, shape in zip((self.answers, self.flips, self.scores, self.changes), shapes, strict=True):
            _check(counts.shape == shape and counts.dtype == np.int64, f"counts are {counts.shape}")
            _check(counts.min() >= 0 and counts.max() <= MOST_LESIONS, "counts are below 0 or too many")
        lesions, diagnoses = self.lesions, self.scores.sum(axis=2)
        _check(FEWEST_OF_CLASS <= lesions <= MOST_LESIONS, f"they are of {lesions} lesions")
        groups = np.concatenate([self.answers, diagnoses[0]])
        _check(((groups == 0) | (groups >= FEWEST_OF_CLASS)).all(), "they show a group of few lesions")
        _check((self.flips <= self.answers).all(), "more lesions flip than there are")
        same = (diagnoses == diagnoses[0]).all() and diagnoses[0].sum() == lesions
        _check(same and (self.changes.sum(axis=1) == lesions).all(), "their counts do not add up")
        _check(self._has_possible_moments(changes), "their sums of changes are impossible")

    def _has_possible_moments(self, changes: int) -> bool:
        """Whether they are finite, and of changes in their bins."""
        if self.moments.shape != (changes, 2) or not np.isfinite(self.moments).all():
            return False
        sums, squares = self.moments.T
        near = np.abs(_CENTRES) + STEP / 2
        most = np.append(np.append(_LARGEST, near[1:-1]), _LARGEST) * (1 + 1e-9)
        within = (np.abs(sums) <= self.changes @ most) & (squares <= self.changes @ most**2)
        return bool((within & (sums**2 <= self.lesions * squares * (1 + 1e-9) + 1e-9)).all())


_CENTRES = STEP * (np.arange(CHANGE_BINS) - CHANGE_BINS // 2)


def change_quantile(counts: Ints, share: float) -> float:
    """The change that this share of lesions does not exceed, to half a step, in nats.

    Args:
        counts: lesions by their change, int64 (CHANGE_BINS,), not all 0.
        share: in (0, 1].
    """
    below = np.cumsum(counts)
    return float(_CENTRES[np.searchsorted(below, share * below[-1])])


def _in_large_groups(*groups: Booleans) -> Booleans:
    """Which lesions belong to no small group; a group may become small when others are left out."""
    shown = np.ones(groups[0].shape, bool)
    while True:
        sides = [shown & side for group in groups for side in (group, ~group)]
        small = [side for side in sides if 0 < side.sum() < FEWEST_OF_CLASS]
        if not small:
            return shown
        shown = shown & ~np.logical_or.reduce(small)


def _score_bins(scores: Floats) -> Ints:
    return np.clip(np.floor(scores / SCORE_STEP).astype(np.int64) + SCORE_BINS // 2, 0, SCORE_BINS - 1)


def _change_bins(changes: Floats) -> Ints:
    return np.clip(np.rint(changes / STEP).astype(np.int64) + CHANGE_BINS // 2, 0, CHANGE_BINS - 1)


def _counts(bins: Ints, truth: Ints) -> Ints:
    counts = np.zeros((2, SCORE_BINS), np.int64)
    np.add.at(counts, (truth, bins), 1)
    return counts


def _check(fits: bool | np.bool_, why: str) -> None:
    if not fits:
        raise FederationError(f"A clinic's audit is refused: {why}", remedy=_REMEDY)
