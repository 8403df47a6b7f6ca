"""A progress bar that appears only when the work takes long enough to wonder."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dermafed.shared.imaging.cache import Progress as ProgressCallback


@contextmanager
def progress_bar(description: str, after: float = 2.0) -> Iterator[ProgressCallback]:
    """Shows a bar on stderr once `after` seconds have passed.

    Args:
        description: what is being done.
        after: seconds.

    Yields:
        A function to call with the items done and their number.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=sys.stderr))
    task = bar.add_task(description)
    start = time.monotonic()

    def report(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - start >= after:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()
