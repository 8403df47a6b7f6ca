"""A process's memory over time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_SECONDS = 2.0
_SETTLED = 0.2  # the first part of the time does not count: pools and caches fill


@dataclass
class Memory:
    """Resident sets of a process.

    Attributes:
        seconds: when, from the start.
        mb: how much.
    """

    seconds: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)

    def slope(self) -> float:
        """MB a minute, by least squares, once it has settled."""
        first = int(_SETTLED * len(self.mb))
        minutes = np.array(self.seconds[first:]) / 60
        return float(np.polyfit(minutes, self.mb[first:], 1)[0]) if len(minutes) > 1 else float("nan")


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """What a process holds, until the context ends."""
    memory, ended, start = Memory(), threading.Event(), time.monotonic()

    def watch() -> None:
        while True:
            memory.mb.append(resident_mb(pid))
            memory.seconds.append(time.monotonic() - start)
            if ended.wait(_SECONDS):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def resident_mb(pid: int) -> float:
    """The resident set of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise ProcessLookupError(pid)
