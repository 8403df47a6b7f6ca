"""The cap of shares against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.server.rounds.shares import capped_weights, members_of, shares

WEIGHTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.integers(1, 10**6), min_size=1)


@pytest.mark.parametrize(
    ("weights", "largest", "expected"),
    [
        ((7, 23, 60), 0.5, (7, 23, 30)),
        ((1, 5), 0.5, (1, 1)),  # two clinics: each half
        ((5,), 0.5, (5,)),  # one alone: all
        ((100, 100, 1, 1), 0.4, (4, 4, 1, 1)),
        ((1, 1, 9), 0.2, (1, 1, 1)),  # an equal share, as a fifth of three is impossible
        ((560, 300, 140), 1.0, (560, 300, 140)),
    ],
)
def test_capped_weights_worked_out_by_hand(
    weights: tuple[int, ...], largest: float, expected: tuple[int, ...]
) -> None:
    by_name = {str(number): weight for number, weight in enumerate(weights)}
    assert tuple(capped_weights(by_name, largest).values()) == expected


@given(WEIGHTS, st.floats(0.05, 1))
def test_no_share_is_above_the_cap_but_by_rounding(weights: dict[str, int], largest: float) -> None:
    capped = capped_weights(weights, largest)
    total = sum(capped.values())
    bound = max(largest, 1 / len(weights))
    for name, weight in capped.items():
        assert 1 <= weight <= weights[name]
        assert weight <= bound * total + 1 + 1e-5 * total
    if max(shares(weights).values()) <= bound - 1e-5:
        assert capped == weights


def test_the_weights_of_members_are_those_that_clinics_compute() -> None:
    counts = {"a": (30, 10), "b": (10, 50)}
    assert {name: one.weight for name, one in members_of(counts, "logits").items()} == {"a": 46, "b": 54}
    assert {name: one.weight for name, one in members_of(counts, "none").items()} == {"a": 40, "b": 60}
    assert members_of(counts, "global")["b"].images == 60
