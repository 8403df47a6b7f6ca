"""What a process and its children use, as Linux counts it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")  # clock ticks of a second


def peak_mb(process: int) -> float:
    """The process's largest resident set so far, in MB."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def cpu_percent(processes: Sequence[int], seconds: float) -> list[float]:
    """The share of one core that each process, with its children, uses for so many seconds, in %."""
    before, start = [cpu_seconds(process) for process in processes], time.monotonic()
    time.sleep(seconds)
    used = [cpu_seconds(process) - past for process, past in zip(processes, before, strict=True)]
    return [100 * each / (time.monotonic() - start) for each in used]


def cpu_seconds(process: int) -> float:
    """Seconds of processor time that the process and its living children have used."""
    return sum(_own_seconds(number) for number in (process, *_descendants(process)))


def _own_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _descendants(process: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (tasks / "children").read_text().split()):
            yield child
            yield from _descendants(child)
