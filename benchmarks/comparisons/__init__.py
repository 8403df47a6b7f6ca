"""The comparisons by name, in the order of the table, each in a file of its own.

The first line of a file says what is compared. It has ``GOALS``, the lines of the table, and ``ways``, a
context in which their ways can be measured. A way whose peer is missing is not among them; ``note`` takes
the sentence that says why. Where ``SLOW`` is true, a run of all comparisons has one turn of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from benchmarks.measuring import Goal, Way

NAMES = ("images", "bm3d", "scorecam", "serve", "round", "simulation", "start", "idle", "default-run")


@dataclass(frozen=True)
class Place:
    """Where a comparison works.

    Attributes:
        folder: an empty folder, which is removed afterwards.
        images: a folder of real images; ``None``: lesions are drawn.
        note: takes a sentence for the user.
    """

    folder: Path
    images: Path | None
    note: Callable[[str], None]


class Comparison(Protocol):
    """A module of this folder."""

    GOALS: tuple[Goal, ...]
    SLOW: bool

    @property
    def ways(self) -> Callable[[Place], AbstractContextManager[Mapping[str, Way]]]:
        """The ways, prepared: nothing is compiled or loaded in the first turn."""
        ...


def comparison(name: str) -> Comparison:
    """The comparison of this name."""
    return cast(Comparison, import_module(f"benchmarks.comparisons.{name.replace('-', '_')}"))
