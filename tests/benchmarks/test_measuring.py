"""The core of the comparisons: turns, spreads, ratios and the table, by numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.measuring import Figures, Goal, Spread, alternate, line, times_better, unmeasured
from benchmarks.results import merged


def test_ways_take_turns_forwards_and_backwards() -> None:
    order: list[str] = []

    def way(name: str) -> Callable[[], Figures]:
        def measure() -> Figures:
            order.append(name)
            return {"seconds": float(len(order))}

        return measure

    found = alternate({name: way(name) for name in "abc"}, 3)
    assert "".join(order) == "abccbaabc"
    assert found["a"] == [{"seconds": 1.0}, {"seconds": 6.0}, {"seconds": 7.0}]


@pytest.mark.parametrize(
    ("repeats", "spread"),
    [
        ([3.0], Spread(3.0, 3.0, 3.0)),
        ([5.0, 1.0, 2.0], Spread(2.0, 1.0, 5.0)),
        ([4.0, 1.0, 2.0, 10.0], Spread(3.0, 1.0, 10.0)),
    ],
)
def test_a_spread_is_median_smallest_and_largest(repeats: list[float], spread: Spread) -> None:
    assert Spread.of(repeats) == spread


def test_less_time_and_more_images_are_better() -> None:
    assert times_better([2.0, 4.0], [8.0, 4.0], more=False) == [4.0, 1.0]
    assert times_better([2.0, 30.0], [8.0, 10.0], more=True) == [0.25, 3.0]


def test_the_ratio_is_of_figures_of_the_same_turn() -> None:
    # 8/2 = 4, 12/6 = 2, 30/10 = 3: the median is 3, while the medians' ratio would be 12/6 = 2.
    found = {
        "ours": [{"s": 2.0}, {"s": 6.0}, {"s": 10.0}],
        "theirs": [{"s": 8.0}, {"s": 12.0}, {"s": 30.0}],
    }
    assert line("work", Goal("s", "ours", "theirs", 3), found) == {
        "comparison": "work",
        "figure": "s",
        "way": "ours",
        "peer": "theirs",
        "ours": {"value": 6.0, "low": 2.0, "high": 10.0},
        "theirs": {"value": 12.0, "low": 8.0, "high": 30.0},
        "times": {"value": 3.0, "low": 2.0, "high": 4.0},
        "judged": "times",
        "goal": ">= 3 times",
        "reached": "yes",
        "repeats": 3,
    }


@pytest.mark.parametrize(
    ("goal", "words", "reached"),
    [
        (Goal("s", "ours", "theirs", 4.1), ">= 4.1 times", "no"),
        (Goal("s", "ours", "theirs", 4), ">= 4 times", "yes"),
        (Goal("s", "ours", "theirs"), "–", "–"),
        (Goal("s", "ours", limit=2), "<= 2", "yes"),
        (Goal("s", "ours", limit=1.9), "<= 1.9", "no"),
        (Goal("s", "ours", limit=2, more=True), ">= 2", "yes"),
        (Goal("s", "ours", limit=20, more=True), ">= 20", "no"),
        (Goal("s", "ours", "absent", 1), ">= 1 times", "–"),
    ],
)
def test_a_goal_is_reached_by_the_median(goal: Goal, words: str, reached: str) -> None:
    found = line("work", goal, {"ours": [{"s": 2.0}], "theirs": [{"s": 8.0}]})
    assert (found["goal"], found["reached"]) == (words, reached)
    assert found["judged"] == ("figure" if goal.peer is None else "times")


def test_without_its_peer_our_figures_are_still_there() -> None:
    found = line("work", Goal("s", "ours", "absent", 1), {"ours": [{"s": 2.0}]})
    assert found["ours"] == {"value": 2.0, "low": 2.0, "high": 2.0}
    assert (found["theirs"], found["times"], found["repeats"]) == (None, None, 1)


def test_new_lines_take_the_place_of_old_ones_of_their_comparison() -> None:
    def one(comparison: str, repeats: int) -> dict[str, object]:
        return {"comparison": comparison, "repeats": repeats}

    old = [one("a", 1), one("b", 1), one("b", 1), one("c", 1)]
    new = [one("b", 3), one("d", 3)]
    assert merged(old, new) == [one("a", 1), one("b", 3), one("c", 1), one("d", 3)]


def test_a_comparison_that_was_not_measured_has_its_lines_without_figures() -> None:
    (found,) = unmeasured("work", [Goal("s", "ours", "theirs", 2)])
    assert (found["ours"], found["theirs"], found["times"], found["reached"]) == (None, None, None, "–")
    assert (found["goal"], found["repeats"]) == (">= 2 times", None)
