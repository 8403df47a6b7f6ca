"""A bell between two processes on this machine, so that the one that waits need not look all the time."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from pathlib import Path

from dermafed.shared.storage.atomic_files import FILE_MODE

_MOST = 4096  # strokes that are heard as one
_OFTEN_SECONDS = 0.2


class Bell:
    """A named pipe; a stroke that nobody waits for is kept until somebody does.

    Where the disk has no named pipes, it never rings, and who waits looks often.

    Args:
        path: of the pipe, in a private folder; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._pipe: int | None = None
        with suppress(OSError):
            if not path.is_fifo():
                os.mkfifo(path, FILE_MODE)
            # Open for both, so that it is never at its end, and a stroke never waits for a listener.
            self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake who waits; a full pipe has strokes enough."""
        with suppress(BlockingIOError):
            if self._pipe is not None:
                os.write(self._pipe, b"!")

    def wait(self, seconds: float) -> None:
        """Wait for a stroke, or so many seconds."""
        if self._pipe is None:
            time.sleep(min(seconds, _OFTEN_SECONDS))
        elif select.select([self._pipe], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self._pipe, _MOST)
