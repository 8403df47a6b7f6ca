"""The curves by name, each in a file of its own, and the exponents of their parts.

A file's first line says what is measured. ``costs`` yields the cost of each part at one size; ``SIZES`` are
ascending, and the ``LARGER`` largest of them are fitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from benchmarks.growth.cost import Cost
from benchmarks.growth.fit import exponent

NAMES = ("clinics", "rounds", "parameters", "images", "image-size")
Line = dict[str, Any]


class Curve(Protocol):
    """A module of this folder."""

    VARIABLE: str
    SIZES: tuple[int, ...]
    LARGER: int

    def costs(self, size: int) -> Iterator[tuple[str, Cost]]:
        """The name and the cost of each part."""
        ...


def curve(name: str) -> Curve:
    """The curve of this name."""
    return cast(Curve, import_module(f"benchmarks.growth.{name.replace('-', '_')}"))


def costs_at(name: str, size: int) -> list[tuple[str, Cost]]:
    """The costs of a curve's parts at one size."""
    return list(curve(name).costs(size))


def fitted(points: Sequence[Line], name: str) -> list[Line]:
    """The exponent of each part of a curve, with its cost at the largest size.

    Args:
        points: lines with ``curve``, ``part``, ``size``, ``seconds`` and ``MB``.
        name: the curve's.
    """
    found = []
    own = [point for point in points if point["curve"] == name]
    for part in dict.fromkeys(point["part"] for point in own):
        of_part = [point for point in own if point["part"] == part]
        sizes, seconds = ([point[key] for point in of_part] for key in ("size", "seconds"))
        power = exponent(sizes, seconds, curve(name).LARGER)
        found.append(
            {
                **of_part[-1],
                "variable": curve(name).VARIABLE,
                "from": power.start,
                "exponent": {"value": power.value, "half_width": power.half_width},
                "linear": power.linear,
            }
        )
    return found
