"""Rounded tables, read by somebody who knows the rule and tries every table that fits."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.counts.rounding import HIDDEN, is_published, publish, rounded_down, text
from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.fairness.disclosure import LEAST_RANGE

Ints = NDArray[np.int64]
Publish = Callable[[Ints], Ints]


def told(counts: Ints) -> Ints:
    return publish(counts, counts < 5)


def only_rounded(counts: Ints) -> Ints:
    """The control: nothing is hidden beside the small cells."""
    return counts // 5 * 5


def tables(total: int, cells: int) -> Iterator[tuple[int, ...]]:
    """Every table of a total."""
    for some in itertools.product(range(total + 1), repeat=cells - 1):
        if sum(some) <= total:
            yield (*some, total - sum(some))


def narrowest(rule: Publish, cells: tuple[int, int], top: int) -> int:
    """The smallest range of a small or hidden cell, over all tables that look the same.

    Two tables of one total are told, of 10 to ``top`` lesions.
    """
    ends: dict[object, tuple[Ints, Ints]] = {}
    for total in range(10, top):
        by_look: list[dict[tuple[int, ...], list[tuple[int, ...]]]] = [defaultdict(list), defaultdict(list)]
        for looks, count in zip(by_look, cells, strict=True):
            for table in tables(total, count):
                try:
                    looks[tuple(rule(np.array(table)).tolist())].append(table)
                except DatasetError:
                    continue
        for (one, first), (other, second) in itertools.product(*(looks.items() for looks in by_look)):
            low, high = (
                np.concatenate([end(first, axis=0), end(second, axis=0)]) for end in (np.min, np.max)
            )
            before = ends.get(key := (one + other, rounded_down(total)), (low, high))
            ends[key] = np.minimum(low, before[0]), np.maximum(high, before[1])
    # What looks like the largest totals fits tables beyond `top` too.
    whole = {key: end for key, end in ends.items() if key[1] + 5 <= top}  # type: ignore[index]
    return min(
        int(high[place] - low[place])
        for (shown, _), (low, high) in whole.items()  # type: ignore[misc]
        for place, count in enumerate(shown)
        if count in (0, HIDDEN)
    )


def test_whoever_knows_the_rule_cannot_narrow_a_small_cell() -> None:
    assert narrowest(told, (2, 3), 25) >= LEAST_RANGE
    assert narrowest(only_rounded, (2, 3), 25) < LEAST_RANGE


def test_the_largest_is_hidden_where_the_total_says_too_much() -> None:
    assert told(np.array([14, 9, 4])).tolist() == [HIDDEN, 5, 0]
    assert told(np.array([21, 12, 1])).tolist() == [20, 10, 0]  # 34, told as 30: no step above these
    with pytest.raises(DatasetError):
        told(np.array([4, 4, 4]))


def test_few_patients_are_few_however_many_lesions_they_have() -> None:
    shown = publish(np.array([100, 9, 60, 31]), np.array([False, True, False, False]))
    assert shown.tolist() == [HIDDEN, 0, 60, 30]
    assert list(map(text, shown)) == ["hidden", "few", "60 to 64", "30 to 34"]


@pytest.mark.parametrize(
    ("shown", "fits"),
    [([20, 0], True), ([HIDDEN, 0], True), ([21, 0], False), ([HIDDEN, HIDDEN, 5], False), ([25, 20], False)],
)
def test_only_what_may_be_told_passes(shown: list[int], fits: bool) -> None:
    assert is_published(np.array(shown), 40) is fits
