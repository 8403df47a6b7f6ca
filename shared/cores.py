"""How many cores there are to work with, and who goes first."""

from __future__ import annotations

import os


def cores() -> int:
    """Count the cores this process may use; not every system can tell them from those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_way() -> None:
    """Let every other process go first from now on: for work that nobody waits for, such as training."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, _LOWEST)


_LOWEST = 19
