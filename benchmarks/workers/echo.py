"""The smallest worker, for tests: the number that it was given, and how often it was asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count

from benchmarks.workers.answering import answer


def prepare() -> Callable[[], dict[str, float]]:
    given, asked = float(sys.argv[1]), count(1)
    return lambda: {"given": given, "asked": float(next(asked))}


if __name__ == "__main__":
    answer(prepare)
