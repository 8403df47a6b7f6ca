"""When each node was heard last: it calls every second or two, also while it trains, until it dies.

In a federation of more than a hundred clinics it calls less often.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

HOLD_SECONDS = 2.0
"""How long a call for messages waits, in a federation of up to a hundred clinics."""

LONGEST_HOLD_SECONDS = 20.0
"""How long it waits in a large one; a node gives up after 30 seconds."""

_CALLS_A_SECOND = 50  # that waited in vain, of all nodes together; each costs about a millisecond

SILENT_SECONDS = 3.5
"""A node that was not heard for longer is called silent. Nothing of a run depends on it.

An idle node is heard every two seconds: so long its calls for messages are kept waiting. Where they wait
longer, since there are many clinics, silence begins later by as much.
"""


class Contacts:
    """The calls of all nodes; any thread may ask.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._calls, self._heard = Counter[int](), dict[int, float]()

    @property
    def hold_seconds(self) -> float:
        """How long a call for messages waits now: by the nodes that were heard since the server's start."""
        return min(max(HOLD_SECONDS, len(self._heard) / _CALLS_A_SECOND), LONGEST_HOLD_SECONDS)

    @property
    def beat_seconds(self) -> int:
        """How long a node that works may be silent before it sends a heartbeat."""
        return int(0.75 * self.hold_seconds)  # called silent a few seconds after all of them

    @contextmanager
    def call(self, node: int) -> Iterator[None]:
        """A call of a node, while it lasts: a slow one is no silence."""
        self._note(node, 1)
        try:
            yield
        finally:
            self._note(node, -1)

    def heard(self, node: int) -> AbstractContextManager[None]:
        """A call that is kept waiting: the node is heard as it begins, and may be gone while it lasts."""
        self._note(node, 0)
        return nullcontext()

    def silence(self, node: int) -> float:
        """Seconds since a node was heard; 0 during a call, and before its first."""
        with self._lock:
            if self._calls[node] or node not in self._heard:
                return 0.0
            return max(0.0, self._clock() - self._heard[node])

    def _note(self, node: int, change: int) -> None:
        with self._lock:
            self._calls[node] += change
            self._heard[node] = self._clock() + self.hold_seconds - HOLD_SECONDS
