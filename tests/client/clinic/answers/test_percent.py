from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.client.clinic.answers.percent import percent, percents_apart


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.0, "< 1 %"), (0.0099, "< 1 %"), (0.01, "1 %"), (0.774, "77 %"), (0.99, "99 %"), (1.0, "> 99 %")],
)
def test_no_probability_is_shown_as_certain(probability: float, shown: str) -> None:
    assert percent(probability) == shown


@pytest.mark.parametrize(
    ("probability", "threshold", "shown"),
    [
        (0.27, 0.12, ("27 %", "12 %")),
        (0.1194, 0.12, ("11.9 %", "12.0 %")),
        (0.004, 0.0061, ("0.4 %", "0.6 %")),
        (0.12, 0.12, ("12 %", "12 %")),
        (0.9999, 0.99, ("> 99 %", "99 %")),
    ],
)
def test_a_probability_and_a_threshold_are_told_apart(
    probability: float, threshold: float, shown: tuple[str, str]
) -> None:
    assert percents_apart(probability, threshold) == shown


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_is_shown_is_ordered_as_the_numbers_are(one: float, other: float) -> None:
    if abs(one - other) < 1e-5:
        return
    first, second = (float(text.strip("<> %")) for text in percents_apart(one, other))
    assert (first < second) == (one < other) or first == second  # such as 1 % and < 1 %
