"""How many cores there are to work with."""

from __future__ import annotations

import os


def cores() -> int:
    """Count the cores this process may use; not every system can tell them from those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
