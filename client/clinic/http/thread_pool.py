"""What is in hand: so much at one time, in threads, so that the node goes on answering."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from dermafed.client.clinic.intake.refusals import Refused

_THREADS = 4  # one is in the network; the others decode, prepare and write meanwhile
_RETRY_SECONDS = 5

P = ParamSpec("P")
T = TypeVar("T")


class Work:
    """Threads, and a count of what waits for them."""

    def __init__(self, most: int) -> None:
        """Starts idle.

        Args:
            most: in hand at one time; each may hold a whole body in memory.
        """
        self.in_hand = 0
        self._most = most
        self._threads = ThreadPoolExecutor(_THREADS, "serving")

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, for as long as the context lasts.

        Raises:
            Refused: there is none (503).
        """
        if not self.has_room:
            remedy = f"Wait {_RETRY_SECONDS} s, and ask again"
            raise Refused("busy", "The node has too much in hand", remedy=remedy, retry_after=_RETRY_SECONDS)
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A function's result, worked out in a thread."""
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    @property
    def has_room(self) -> bool:
        """Whether there is a place."""
        return self.in_hand < self._most
