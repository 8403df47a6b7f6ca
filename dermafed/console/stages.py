"""The stages of a start that takes long: a line each, with the seconds that it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.status import Status

from dermafed.console import print_note, stderr

_REFRESH = 4  # a second


class Stages:
    """Says on stderr what is being done.

    A terminal shows the current stage in a line that moves; a log gets a line when a stage starts, so
    that it is never silent.
    """

    def __init__(self) -> None:
        self._console = stderr()
        self._moving: Status | None = None
        self._text, self._began = "", 0.0

    def start(self, text: str) -> None:
        """End the stage before, if any, and start one.

        Args:
            text: what is done, without a point at the end.
        """
        self.end()
        self._text, self._began = text, time.monotonic()
        if not self._console.is_terminal:
            print_note(f"{text} ...")
            return
        self._moving = self._console.status(f"{text} ...", refresh_per_second=_REFRESH)
        self._moving.start()

    def end(self) -> None:
        """End the current stage; a terminal keeps a line with its seconds."""
        if self.stop():
            print_note(f"{self._text}: {time.monotonic() - self._began:.0f} s")

    def stop(self) -> bool:
        """Take the line that moves away; returns whether there was one."""
        moving, self._moving = self._moving, None
        if moving is not None:
            moving.stop()
        return moving is not None


@contextmanager
def show_stages() -> Iterator[Stages]:
    """The stages of a command; nothing moves any more when the context ends."""
    stages = Stages()
    try:
        yield stages
    finally:
        stages.stop()
