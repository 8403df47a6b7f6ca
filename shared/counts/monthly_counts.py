"""What a clinic's model answered month by month, and what may be told of it: drift, as counts show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from dermafed.shared.counts.rounding import (
    FEWEST,
    HIDDEN,
    LARGEST,
    STEP,
    Booleans,
    Ints,
    is_published,
    publish,
    rounded_down,
)
from dermafed.shared.errors import DatasetError, FederationError

MONTHS = 12
"""Complete months that are counted, up to the last one."""

KINDS = ("answers", "alerts", "judged", "disagreements")
"""What is counted in each: answers of the model in use, those that raised its alert for melanoma, those on
which a clinician has an opinion, and those with which one disagrees."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The share of answers that should raise an alert by the model's calibration, with its 95 % interval."""

    low: float
    share: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.share <= self.high <= 1:
            raise FederationError("the expected share of alerts is not a share within its interval")


@dataclass(frozen=True, slots=True, eq=False)
class MonthlyCounts:
    """Counts of MONTHS complete months: a clinic's own, or with :meth:`published` what it may tell.

    Attributes:
        last: the last of the months, as months since the year 0: 12 x year + month - 1.
        counts: of each month, the oldest first, and each of KINDS, int64 (MONTHS, K).
        totals: of all months, int64 (K,).
        expected: ``None`` where the model has no alert.
    """

    last: int
    counts: Ints
    totals: Ints
    expected: Expected | None

    @property
    def months(self) -> list[str]:
        """The months' names, such as 2027-03."""
        numbers = range(self.last - MONTHS + 1, self.last + 1)
        return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in numbers]

    def published(self) -> MonthlyCounts:
        """What may be told: counts rounded down to steps, none of a month with fewer than FEWEST answers.

        Raises:
            DatasetError: there are fewer than FEWEST answers in all.
        """
        if self.totals[0] < FEWEST:
            raise DatasetError(
                f"{self.totals[0] or 'No'} answers in the last {MONTHS} months",
                remedy=f"Nothing is told of fewer than {FEWEST}",
            )
        few = self.counts[:, 0] < FEWEST
        shown = [_told(column, few | (column < STEP)) for column in self.counts.T]
        totals = np.array([rounded_down(int(total)) for total in self.totals])
        return MonthlyCounts(self.last, np.stack(shown, axis=1), totals, self.expected)

    def validate(self) -> None:
        """Refuse counts that no clinic may tell.

        Raises:
            FederationError: they are not rounded, of another shape, or contradict each other.
        """
        if not (0 <= self.last < 12 * 10**4 and self.counts.shape == (MONTHS, len(KINDS))):
            raise FederationError("the months are not those of monthly counts")
        answers, alerts, judged, disagreements = map(int, self.totals)
        if not (FEWEST <= answers <= LARGEST and alerts <= answers and disagreements <= judged <= answers):
            raise FederationError("the monthly counts are not plausible")
        columns = zip(self.counts.T, self.totals, strict=True)
        if not all(total % STEP == 0 <= total and is_published(column, total) for column, total in columns):
            raise FederationError("the monthly counts may not be told")

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON types; ``None`` for a hidden one."""
        expected = self.expected
        rows = [[None if count == HIDDEN else int(count) for count in row] for row in self.counts]
        return {
            "months": {
                month: dict(zip(KINDS, row, strict=True))
                for month, row in zip(self.months, rows, strict=True)
            },
            "totals": dict(zip(KINDS, map(int, self.totals), strict=True)),
            "expected": None
            if expected is None
            else {"low": expected.low, "share": expected.share, "high": expected.high},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MonthlyCounts:
        """Read what :meth:`to_dict` wrote.

        Raises:
            FederationError: they are no monthly counts of this version.
        """
        try:
            rows = [
                [HIDDEN if row[kind] is None else int(row[kind]) for kind in KINDS]
                for row in values["months"].values()
            ]
            totals = [int(values["totals"][kind]) for kind in KINDS]
            expected = None if values["expected"] is None else Expected(**values["expected"])
            year, month = map(int, list(values["months"])[-1].split("-"))
            return cls(12 * year + month - 1, np.array(rows, np.int64), np.array(totals), expected)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise FederationError(f"these are no monthly counts: {error}") from error


def _told(counts: Ints, small: Booleans) -> Ints:
    """A column as it may be told: no month where all are small, and their total would give them away."""
    try:
        return publish(counts, small)
    except DatasetError:
        return np.full(MONTHS, HIDDEN)


def last_month(today: date) -> int:
    """The last complete month before a day, as :attr:`MonthlyCounts.last`."""
    return 12 * today.year + today.month - 2


def first_day(month: int) -> date:
    """The first day of a month, given as :attr:`MonthlyCounts.last`."""
    return date(month // 12, month % 12 + 1, 1)
