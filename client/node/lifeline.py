"""Child processes that end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import threading
import time

_PATIENCE_SECONDS = 10.0


def end_with_parent() -> None:
    """End this process soon after the pipe at its standard input closes, as it does when the parent dies."""
    threading.Thread(target=_watch, daemon=True, name="lifeline").start()


def _watch() -> None:
    # Not sys.stdin, whose lock this thread would hold while the interpreter shuts down.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # lets a SuperNode say goodbye to its server
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)
