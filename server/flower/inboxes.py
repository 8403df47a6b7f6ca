"""For which nodes a message waits, so that a node that has none is kept waiting and Flower is not asked.

A call that waits ends without the message, and the node calls again for it: the message could be lost with a
connection that has ended meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from threading import Lock


class Inboxes:
    """The nodes with a message; any thread may put one in, the calls of nodes wait in event loops."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._filled: set[int] = set()
        self._closed = False
        self._waiting: defaultdict[int, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]]
        self._waiting = defaultdict(set)

    def put(self, nodes: Iterable[int]) -> None:
        """Note that a message waits for each of these nodes, and wake their calls."""
        with self._lock:
            self._filled.update(nodes := set(nodes))
            self._wake(nodes)

    def close(self) -> None:
        """Let no call wait any more: the server ends."""
        with self._lock:
            self._closed = True
            self._wake(set(self._waiting))

    def _wake(self, nodes: Iterable[int]) -> None:
        for loop, event in [call for node in nodes for call in self._waiting.get(node, ())]:
            loop.call_soon_threadsafe(event.set)

    def take(self, node: int) -> bool:
        """Whether a message waits for a node, which is about to get it."""
        with self._lock:
            found = node in self._filled
            self._filled.discard(node)
            return found

    async def wait(self, node: int, seconds: float) -> bool:
        """Wait until a message is there for a node, or the server ends; whether it did not wait in vain."""
        call = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._closed or node in self._filled:
                return True
            self._waiting[node].add(call)
        try:
            async with asyncio.timeout(seconds):
                await call[1].wait()
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting[node].discard(call)
                if not self._waiting[node]:
                    del self._waiting[node]
        return True
