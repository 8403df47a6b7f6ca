from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermafed.shared.metrics.fairness.disclosure import LEAST_RANGE, Hidden, hide_small, possible_range


def shown(counts: list[list[int]]) -> list[str]:
    """Hidden cells as x, others as their number; a hidden group ends in X."""
    hidden = hide_small(np.array(counts))
    return [
        " ".join("x" if secret else str(count) for count, secret in zip(row, cells, strict=True))
        + (" X" if group else "")
        for row, cells, group in zip(counts, hidden.cells, hidden.groups, strict=True)
    ]


def test_nothing_small_nothing_hidden() -> None:
    assert shown([[5, 20], [30, 6]]) == ["5 20", "30 6"]


def test_a_second_cell_is_hidden_where_subtraction_would_reveal_the_first() -> None:
    # The totals 93 and 53 are known: the smallest of the 3's class and group go too, and then the fourth.
    assert shown([[20, 3, 30], [30, 40, 60], [40, 50, 70]]) == ["x x 30", "x x 60", "40 50 70"]


def test_a_small_group_is_hidden_together_with_another() -> None:
    assert shown([[3, 6], [40, 20], [70, 90]]) == ["x x X", "x x X", "70 90"]


def test_both_of_two_groups_are_hidden_where_one_is_small() -> None:
    assert shown([[2, 2], [400, 500]]) == ["x x X", "x x X"]


def every_table(counts: NDArray[np.int64], hidden: Hidden) -> NDArray[np.int64]:
    """All tables of whole numbers that agree with what is published, by exhaustive search."""
    places = np.argwhere(hidden.cells)
    ranges = [range(int(counts[:, column].sum()) + 1) for _, column in places]
    found = []
    for values in itertools.product(*ranges):
        table = counts.copy()
        table[tuple(places.T)] = values
        same = np.array_equal(table.sum(axis=0), counts.sum(axis=0))
        if same and (table.sum(axis=1) == counts.sum(axis=1))[~hidden.groups].all():
            found.append(table)
    return np.array(found)


@pytest.mark.parametrize("groups", [[False] * 3, [True, True, False]])
def test_the_possible_range_is_that_of_an_exhaustive_search(groups: list[bool]) -> None:
    counts = np.array([[2, 5], [4, 3], [3, 1]])
    hidden = Hidden(np.array([[True, True], [True, True], [True, False]]), np.array(groups))
    tables = every_table(counts, hidden)
    for group, of_class in np.ndindex(counts.shape):
        of = np.zeros(counts.shape, bool)
        of[group, of_class] = True
        values = tables[:, group, of_class]
        assert possible_range(counts, hidden, of) == pytest.approx((values.min(), values.max()))


row = st.integers(0, 60)
tables = st.integers(2, 4).flatmap(
    lambda classes: st.lists(st.lists(row, min_size=classes, max_size=classes), min_size=2, max_size=5)
)


@settings(max_examples=15, deadline=None)
@given(tables)
def test_every_hidden_number_stays_uncertain(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    hidden = hide_small(counts)
    assert hidden.cells[counts < 5].all()
    assert hidden.groups[counts.sum(axis=1) < 10].all()
    if hidden.groups.all():
        return
    secrets = [np.eye(counts.size, dtype=bool)[n].reshape(counts.shape) for n in np.flatnonzero(hidden.cells)]
    secrets += [
        np.arange(len(counts))[:, None] == group + 0 * counts for group in np.flatnonzero(hidden.groups)
    ]
    for of in secrets:
        least, most = possible_range(counts, hidden, of)
        assert most - least >= LEAST_RANGE - 1e-6
        assert least - 1e-6 <= counts[of].sum() <= most + 1e-6
