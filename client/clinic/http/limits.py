"""The limits of a node: the size and the time of a body, requests a minute, and requests at one time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.http.access import caller_of
from dermafed.client.clinic.intake.refusals import Refused

_SLOWEST = 2**14  # bytes a second: a body that comes as fast is not too slow, however long it takes
_STRANGERS_BODY = 2**16  # bytes of a body without a token: a form to sign in
_MANY = 10_000  # buckets; beyond them, full ones are dropped
_THREADS = 4  # one is in the network; the others decode, prepare and write meanwhile
_RETRY_SECONDS = 5
P = ParamSpec("P")
T = TypeVar("T")


class BodyLimitMiddleware:
    """ASGI middleware that counts a body while it arrives, whatever its Content-Length says."""

    def __init__(self, app: ASGIApp, largest: int, seconds: float) -> None:
        """Limit every body.

        Args:
            app: what comes next.
            largest: bytes.
            seconds: for a body; with each 16 KiB of it that have come, a second more.
        """
        self._app, self._largest, self._seconds = app, largest, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; refuse it (413, 408) at its first byte too many or second too late."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._largest:
            raise _too_large(self._largest)
        largest = self._largest if caller_of(scope) else _STRANGERS_BODY
        body = _Body(receive, min(largest, self._largest), time.monotonic() + self._seconds)

        async def send_unless_refused(message: Message) -> None:
            # Whatever the app has made of the exception, a refused body gets this answer and no other.
            if body.refused is not None:
                raise body.refused
            await send(message)

        await self._app(scope, body.receive, send_unless_refused)


class _Body:
    """One body while it arrives."""

    def __init__(self, receive: Receive, largest: int, deadline: float) -> None:
        self.refused: Refused | None = None
        self._receive, self._largest, self._deadline = receive, largest, deadline
        self._bytes, self._more = 0, True

    async def receive(self) -> Message:
        """The next part; after the last one, the message that the client has disconnected."""
        if not self._more:
            return await self._receive()
        try:
            deadline = self._deadline + self._bytes / _SLOWEST
            message = await asyncio.wait_for(self._receive(), deadline - time.monotonic())
        except TimeoutError:
            self.refused = Refused(
                "too-slow", "The request took too long to arrive", remedy="Use a faster connection"
            )
            raise self.refused from None
        self._more = message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._largest:
            self.refused = _too_large(self._largest)
            raise self.refused
        return message


def _too_large(largest: int) -> Refused:
    what = f"The request is larger than {largest >> 20} MiB" if largest >> 20 else "The request is too large"
    return Refused("too-large", what, remedy="Send a smaller image")


class RateLimit:
    """A token bucket for each name: full at first, refilled steadily; each request takes one token."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with full buckets.

        Args:
            per_minute: size of a bucket, and tokens that it gets back each minute.
            clock: seconds.
        """
        self._per_minute, self._clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, name: str) -> float:
        """Take one token; returns 0, or the seconds until there is one if the bucket is empty."""
        now = self._clock()
        if len(self._buckets) >= _MANY:
            self._buckets = {key: each for key, each in self._buckets.items() if now - each[1] < 60}
        left, then = self._buckets.get(name, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - then) * self._per_minute / 60)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        return 0.0 if left >= 1 else (1 - left) * 60 / self._per_minute


class RateLimitMiddleware:
    """ASGI middleware: a bucket for each access token, and for each address that shows none."""

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app, self._limit = app, RateLimit(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it (429)."""
        if scope["type"] == "http":
            caller = caller_of(scope)
            address = (scope.get("client") or ("",))[0]
            seconds = self._limit.take(f"token {caller.name}" if caller else f"address {address}")
            if seconds:
                wait = math.ceil(seconds)
                remedy = f"Wait {wait} s, and ask again"
                raise Refused("rate-limit", "Too many requests", remedy=remedy, retry_after=wait)
        await self._app(scope, receive, send)


class WorkPool:
    """Threads, and a count of the requests that use them or wait for them."""

    def __init__(self, most: int) -> None:
        """Start idle.

        Args:
            most: requests at one time; each may have a whole body in memory.
        """
        self.active = 0
        self._most = most
        self._threads = ThreadPoolExecutor(_THREADS, "serving")

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A slot for one request, for as long as the context lasts.

        Raises:
            Refused: there is no free one (503).
        """
        if not self.has_room:
            remedy = f"Wait {_RETRY_SECONDS} s, and ask again"
            raise Refused("busy", "The node is busy", remedy=remedy, retry_after=_RETRY_SECONDS)
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A function's result, computed in a thread, in the caller's language."""
        call = partial(copy_context().run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    @property
    def has_room(self) -> bool:
        """Whether there is a free slot."""
        return self.active < self._most
