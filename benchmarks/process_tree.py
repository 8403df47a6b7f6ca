"""What a process and all that it has started cost, as Linux tells it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(process: int) -> Iterator[int]:
    """The process, its children, theirs, and so on."""
    yield process
    children: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            children += map(int, path.read_text("ascii").split())
    for child in children:
        yield from tree(child)


def cpu_seconds(process: int) -> float:
    """CPU seconds of the tree, user and system, with those of its children that have ended."""
    total = 0
    for one in tree(process):
        with suppress(OSError):
            # utime, stime, cutime and cstime of proc(5), counted from behind the name, which may have blanks.
            fields = Path(f"/proc/{one}/stat").read_text("ascii").rpartition(") ")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def share_of_a_core(processes: dict[str, int], seconds: float) -> dict[str, float]:
    """Percent of a core that each tree takes, measured at the same time.

    Args:
        processes: the root of each tree, by name.
        seconds: for how long.
    """
    start, before = time.perf_counter(), {name: cpu_seconds(one) for name, one in processes.items()}
    time.sleep(seconds)
    took = time.perf_counter() - start
    return {name: 100 * (cpu_seconds(one) - before[name]) / took for name, one in processes.items()}


def resident_mb(process: int) -> float:
    """MB of memory that the tree holds now; pages that its processes share count once."""
    total = 0
    for one in tree(process):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text("ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total / 1e6
