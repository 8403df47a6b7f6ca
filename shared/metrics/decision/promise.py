"""A promise with a proof: at most a share of melanomas is missed, with a confidence (Learn then Test).

For each threshold the hypothesis "more than that share is missed" is tested by the exact binomial
distribution: with n melanomas of which k are missed, its p-value is P(Binomial(n, share) <= k). Thresholds
are tested from the lowest up, each at the full level, until one is not rejected (fixed-sequence testing,
Bauer 1991; Angelopoulos et al. 2021, arXiv:2110.01052). Misses only rise with the threshold, so the choice
itself is valid: a false promise needs the test to fail at the one threshold where the true miss rate passes
the share.

With counts of several clinics the promise is of their melanomas together, each clinic in proportion to its
number: the misses then are a sum of binomials, whose lower tail is below the binomial's with the same mean
(Hoeffding 1956, for k <= n * share - 1). It promises nothing of one clinic alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betaincinv

from dermafed.shared.errors import SettingsError
from dermafed.shared.metrics.decision.score_counts import ScoreCounts

MOST_MISSED = 0.1
"""Share of melanomas that are missed at most."""
CONFIDENCE = 0.95
"""How sure the promise is: it is kept in at least this share of draws of validation images."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What can be promised of an alert.

    Attributes:
        melanomas: number of melanomas that the proof rests on.
        allowed: how many of them may be missed; ``None``: nothing can be promised.
        threshold: the highest threshold that keeps the promise; ``None`` where there is none.
        most_missed: share of melanomas that are missed at most.
        confidence: of the promise.
    """

    melanomas: int
    allowed: int | None
    threshold: float | None
    most_missed: float = MOST_MISSED
    confidence: float = CONFIDENCE

    @property
    def sentence(self) -> str:
        """The promise for people, or that there is none."""
        if self.threshold is None:
            needed = melanomas_needed(self.most_missed, self.confidence)
            return f"Cannot be promised here: {self.melanomas} melanomas, at least {needed} are needed"
        return (
            f"At most {self.most_missed:.0%} of melanomas are missed, with {self.confidence:.0%} confidence "
            f"({self.melanomas} validation melanomas, {self.allowed} may be missed)"
        )


def allowed_misses(
    melanomas: int, most_missed: float = MOST_MISSED, confidence: float = CONFIDENCE
) -> int | None:
    """How many of n melanomas may be missed for the promise to be proven; ``None`` if n are too few.

    Args:
        melanomas: n, at least 0.
        most_missed: in (0, 1).
        confidence: in (0, 1).

    Raises:
        SettingsError: a share is out of range.

    Example:
        29 melanomas: none, since 0.9 ** 29 = 0.047 <= 0.05. 28 are too few: 0.9 ** 28 = 0.052.
    """
    _check(most_missed, confidence)
    proven = np.flatnonzero(bdtr(np.arange(melanomas), melanomas, most_missed) <= 1 - confidence)
    return int(proven[-1]) if proven.size else None


def melanomas_needed(
    most_missed: float = MOST_MISSED, confidence: float = CONFIDENCE, missed: int = 0
) -> int:
    """The least number of melanomas that prove the promise with so many missed.

    Example:
        For 10 % and 95 %: 29 without a miss, 76 with 3, 103 with 5.
    """
    _check(most_missed, confidence)
    number = missed + 1
    while bdtr(missed, number, most_missed) > 1 - confidence:
        number += 1
    return number


def promise(counts: ScoreCounts, most_missed: float = MOST_MISSED, confidence: float = CONFIDENCE) -> Promise:
    """Find the highest threshold that keeps a promise.

    Args:
        counts: of validation images that the model was not trained on.
        most_missed: share of melanomas that are missed at most, in (0, 1).
        confidence: in (0, 1).

    Raises:
        SettingsError: a share is out of range.
    """
    allowed = allowed_misses(counts.melanomas, most_missed, confidence)
    threshold = None
    if allowed is not None:
        # Misses rise along the sequence, so the last threshold within the allowed ones ends it.
        threshold = float(counts.thresholds[np.flatnonzero(counts.missed <= allowed)[-1]])
    return Promise(counts.melanomas, allowed, threshold, most_missed, confidence)


def largest_miss_rate(melanomas: int, missed: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper limit of a miss rate (Clopper and Pearson 1934).

    Example:
        None of 29 missed: 1 - 0.05 ** (1 / 29) = 0.098, so "at most 10 %" is proven.
    """
    if missed >= melanomas:
        return 1.0
    return float(betaincinv(missed + 1, melanomas - missed, confidence))


def _check(most_missed: float, confidence: float) -> None:
    for name, value in (("share of missed melanomas", most_missed), ("confidence", confidence)):
        if not 0 < value < 1:
            raise SettingsError(f"The {name} is {value}", remedy="Give a number above 0 and below 1")
