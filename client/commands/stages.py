"""Progress bars of a command that works in stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from dermafed.console import progress_bar


@contextmanager
def stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Progress bars by the name of the stage; a new one ends the one before."""
    with ExitStack() as bars:

        def stage(what: str) -> Callable[[int, int], None]:
            bars.close()
            return bars.enter_context(progress_bar(what))

        yield stage
