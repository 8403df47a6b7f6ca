"""What every comparison shares: ways that take turns, the spread of their figures, and their ratio.

A *way* does the same work as another one and returns its figures: ``{"seconds": 1.5, "MB": 40.0}``. Ways take
turns on one machine in one run, so that whatever else the machine does slows all of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

Figures = Mapping[str, float]
Way = Callable[[], Figures]


def installed() -> dict[str, str]:
    """The environment in which a command keeps its bytecode, as after an installation by pip."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Goal:
    """A line of the table: one figure of our way, beside that of a peer.

    Attributes:
        figure: the figure's name with its unit; all ways of the line return it.
        ours: our way.
        peer: the peer's way; ``None`` where the limit is one of our figure itself.
        limit: with a peer, how many times better ours has to be at least; otherwise the largest good figure,
            or the smallest where ``more``; ``None`` where nothing is asked.
        more: whether more of the figure is better, as of images a second.
    """

    figure: str
    ours: str
    peer: str | None = None
    limit: float | None = None
    more: bool = False

    @property
    def words(self) -> str:
        """What has to be reached."""
        if self.limit is None:
            return "–"
        times = " times" if self.peer else ""
        return f"{'>=' if self.peer or self.more else '<='} {self.limit:g}{times}"


@dataclass(frozen=True)
class Spread:
    """The repeats of one figure.

    Attributes:
        value: their median.
        low: the smallest.
        high: the largest.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, repeats: Sequence[float]) -> Spread:
        """The spread of one or more repeats."""
        return cls(float(median(repeats)), float(min(repeats)), float(max(repeats)))


def alternate(ways: Mapping[str, Way], repeats: int) -> dict[str, list[Figures]]:
    """The figures of each way, in turn: forwards, then backwards, so that a drift slows none of them more.

    Args:
        ways: by name.
        repeats: number of turns of each.
    """
    found: dict[str, list[Figures]] = {name: [] for name in ways}
    for number in range(repeats):
        for name in reversed(list(ways)) if number % 2 else ways:
            found[name].append(ways[name]())
    return found


def times_better(ours: Sequence[float], peer: Sequence[float], *, more: bool) -> list[float]:
    """How many times better ours is, in each turn.

    Example:
        2 seconds where the peer needs 8 are 4 times better; 2 images a second beside its 8, 0.25 times.
    """
    pairs = zip(ours, peer, strict=True)
    return [(own / other if more else other / own) for own, other in pairs]


def line(comparison: str, goal: Goal, found: Mapping[str, Sequence[Figures]]) -> dict[str, Any]:
    """A goal's line of the table, its numbers as marks of documents show them (``value``, ``low``, ``high``).

    Args:
        comparison: its name.
        goal: of it.
        found: of :func:`alternate`; a way that could not be measured is not in it.
    """
    ours, peer = (_figures(found, way, goal.figure) for way in (goal.ours, goal.peer))
    times = times_better(ours, peer, more=goal.more) if ours and peer else []
    judged = times if goal.peer else ours
    return {
        "comparison": comparison,
        "figure": goal.figure,
        "way": goal.ours,
        "peer": goal.peer or "–",
        "ours": _spread(ours),
        "theirs": _spread(peer),
        "times": _spread(times),
        "judged": "figure" if goal.peer is None else "times",
        "goal": goal.words,
        "reached": _reached(goal, judged),
        "repeats": len(ours) or None,
    }


def _figures(found: Mapping[str, Sequence[Figures]], way: str | None, figure: str) -> list[float]:
    return [figures[figure] for figures in found.get(way, ())] if way else []


def _spread(repeats: Sequence[float]) -> dict[str, float] | None:
    return asdict(Spread.of(repeats)) if repeats else None


def _reached(goal: Goal, judged: Sequence[float]) -> str:
    """Whether the median reaches the limit."""
    if goal.limit is None or not judged:
        return "–"
    middle = median(judged)
    at_least = goal.peer is not None or goal.more
    return "yes" if (middle >= goal.limit if at_least else middle <= goal.limit) else "no"


def unmeasured(comparison: str, goals: Sequence[Goal]) -> Iterator[dict[str, Any]]:
    """The lines of a comparison that was not measured."""
    return (line(comparison, goal, {}) for goal in goals)


def load() -> float:
    """How many processes want to run, on average over the last minute."""
    return os.getloadavg()[0]


def tell(sentence: str) -> None:
    """A note beside the results."""
    print(sentence, file=sys.stderr, flush=True)
