"""Curves by round, as coordinates of an SVG that the templates draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT = 54, 12
_TOP, _BOTTOM = 12, 32
_STEPS = (1.0, 2.0, 5.0, 10.0)
_FEW, _NAMED = 8, 3
_LAYERS = {"together": 1, "chosen": 2}  # from below; a colour of its own: 0

Points = Sequence[tuple[int, float]]
"""Rounds and values; an undefined value leaves a gap."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve.

    Attributes:
        name: whose.
        style: a class of the style sheet.
        pieces: the points of its polylines, ``x,y x,y``; a gap lies between two.
        dots: the same where a single point has no neighbour: (x, y).
        last: the last value.
    """

    name: str
    style: str
    pieces: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    last: float


@dataclass(frozen=True, slots=True)
class Many:
    """Clinics that are too many for a curve each.

    Attributes:
        count: how many they are.
        bands: areas between the lowest and the highest of them, and around their middle half, ``x,y x,y``.
        low: the lowest of their last values.
        high: the highest.
        worst: the clinics with the worst last values, and these; the worst first.
    """

    count: int
    bands: tuple[str, str]
    low: float
    high: float
    worst: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A panel of curves.

    Attributes:
        title: what is drawn.
        aid: how to read it.
        lines: in drawing order.
        many: those that have no line; ``None`` where all have one.
        ticks: height and text of the horizontal lines.
        rounds: place and number below.
        hidden: how many clinics are not drawn, since they have too few images.
    """

    title: str
    aid: str
    lines: tuple[Line, ...]
    many: Many | None
    ticks: tuple[tuple[float, str], ...]
    rounds: tuple[tuple[float, str], ...]
    hidden: int = 0


def chart(
    title: str,
    aid: str,
    curves: Mapping[str, Points],
    styles: Mapping[str, str],
    *,
    rounds: int,
    most: float | None = None,
    hidden: int = 0,
    lower_is_better: bool = False,
) -> Chart | None:
    """Place curves in a panel; ``None`` where nothing is known.

    Args:
        title: what is drawn.
        aid: how to read it.
        curves: by name.
        styles: the class of each curve.
        rounds: of the run; the width.
        most: the height; that of the largest value if not given.
        hidden: see :class:`Chart`.
        lower_is_better: of the values.
    """
    known = {name: points for name, points in curves.items() if any(not math.isnan(y) for _, y in points)}
    if not known:
        return None
    values = [y for points in known.values() for _, y in points if not math.isnan(y)]
    top = most or _round_up(max(values))
    last = max(rounds, *(x for points in known.values() for x, _ in points))
    alike = {name: points for name, points in known.items() if styles[name] == "many"}
    many = _many(alike, last, top, lower_is_better) if alike else None
    order = sorted(known.keys() - alike, key=lambda name: (_LAYERS.get(styles[name], 0), name))
    lines = tuple(_line(name, styles[name], known[name], last, top) for name in order)
    ticks = tuple((_y(top * part / 4, top), _text(top * part / 4)) for part in range(5))
    return Chart(title, aid, lines, many, ticks, _round_ticks(last), hidden)


def styles_of(clinics: Sequence[str], together: str, chosen: str) -> dict[str, str]:
    """A class for each curve: a few clinics have a colour each, many have no line of their own.

    Args:
        clinics: in the order of their colours, the same in every panel.
        together: the name of the curve of all clinics.
        chosen: the clinic to bring out; empty for none.
    """
    few = len(clinics) <= _FEW
    styles = {name: f"c{place}" if few else "many" for place, name in enumerate(clinics)}
    return styles | {together: "together"} | ({chosen: "chosen"} if chosen in styles else {})


def _line(name: str, style: str, points: Points, last: int, top: float) -> Line:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isnan(y):
            runs.append([])
        else:
            runs[-1].append((_x(x, last), _y(min(y, top), top)))
    pieces = tuple(" ".join(f"{x:.1f},{y:.1f}" for x, y in run) for run in runs if len(run) > 1)
    dots = tuple(run[0] for run in runs if len(run) == 1)
    return Line(name, style, pieces, dots, _last(points))


def _many(curves: Mapping[str, Points], last: int, top: float, lower_is_better: bool) -> Many:
    by_round: dict[int, list[float]] = {}
    for points in curves.values():
        for x, y in points:
            if not math.isnan(y):
                by_round.setdefault(x, []).append(min(y, top))
    spread = [(_x(x, last), np.percentile(by_round[x], (0, 25, 75, 100))) for x in sorted(by_round)]
    bands = [
        [(x, _y(float(at[low]), top)) for x, at in spread]
        + [(x, _y(float(at[high]), top)) for x, at in reversed(spread)]
        for low, high in ((0, 3), (1, 2))
    ]
    ends = {name: _last(points) for name, points in curves.items()}
    worst = sorted(ends.items(), key=lambda end: (-end[1] if lower_is_better else end[1], end[0]))
    outer, inner = (" ".join(f"{x:.1f},{y:.1f}" for x, y in band) for band in bands)
    return Many(len(curves), (outer, inner), min(ends.values()), max(ends.values()), tuple(worst[:_NAMED]))


def _last(points: Points) -> float:
    return [y for _, y in points if not math.isnan(y)][-1]


def _x(round: int, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (round - 1) / max(1, last - 1)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top


def _round_ticks(last: int) -> tuple[tuple[float, str], ...]:
    step = int(_round_up(max(1, last / 8))) or 1
    shown = [1, *range(step, last + 1, step)] if step > 1 else list(range(1, last + 1))
    return tuple((_x(number, last), str(number)) for number in shown)


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = float(10.0 ** math.floor(math.log10(value)))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


def _text(value: float) -> str:
    return f"{value:.3g}"
