"""What a piece of work costs this process: seconds of its processor time, and memory."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.cost.usage import peak_mb

_T = TypeVar("_T")
_SELF = Path("/proc/self")
_LEAST, _MOST = 3, 9  # repeats; fewer only of work that is long
_ENOUGH, _LONG = 0.3, 4.0  # seconds of all repeats together


@dataclass(frozen=True)
class Cost:
    """What one piece of work costs.

    Attributes:
        seconds: of processor time, user and system, all threads; the least of the repeats. Other processes
            and a slow disk change it less than the time that passes.
        megabytes: the most resident memory that the first repeat took beyond what was there before.
    """

    seconds: float
    megabytes: float


def cost(work: Callable[[_T], object], prepare: Callable[[], _T]) -> Cost:
    """Measure a piece of work; short ones several times.

    Args:
        work: takes what ``prepare`` returns.
        prepare: called before each repeat; not measured.
    """
    megabytes, seconds = 0.0, list[float]()
    while len(seconds) < _MOST and sum(seconds) < (_ENOUGH if len(seconds) >= _LEAST else _LONG):
        prepared = prepare()
        before = None if seconds else _forget_peak()
        start = time.process_time()
        result = work(prepared)
        seconds.append(time.process_time() - start)
        del result, prepared
        if before is not None:
            megabytes = peak_mb_of_this() - before
    return Cost(min(seconds), megabytes)


def _forget_peak() -> float:
    """Give freed memory back and let the peak start anew (proc(5), clear_refs); returns the MB held now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    (_SELF / "clear_refs").write_text("5")
    return peak_mb_of_this()


def peak_mb_of_this() -> float:
    """The largest resident set of this process since its peak was forgotten, in MB."""
    return peak_mb(int(_SELF.resolve().name))
