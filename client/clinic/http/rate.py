"""How often one may ask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from dermafed.client.clinic.http.callers import caller_of
from dermafed.client.clinic.intake.refusals import Refused

_MANY = 10_000


class RateLimit:
    """A bucket for each name: full at first, refilled steadily, a drop for each request."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts with full buckets.

        Args:
            per_minute: requests that a bucket holds, and gets back each minute.
            clock: seconds.
        """
        self._per_minute, self._clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, name: str) -> float:
        """Takes one request; gives the seconds after which there is one if there is none now, else 0."""
        now = self._clock()
        if len(self._buckets) >= _MANY:
            self._buckets = {key: each for key, each in self._buckets.items() if now - each[1] < 60}
        left, then = self._buckets.get(name, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - then) * self._per_minute / 60)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        return 0.0 if left >= 1 else (1 - left) * 60 / self._per_minute


class RateLimited:
    """ASGI middleware: each token has its bucket, and so has each address that shows none."""

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app, self._limit = app, RateLimit(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it (429)."""
        if scope["type"] == "http":
            caller = caller_of(scope)
            address = (scope.get("client") or ("",))[0]
            seconds = self._limit.take(f"token {caller.name}" if caller else f"address {address}")
            if seconds:
                wait = math.ceil(seconds)
                remedy = f"Wait {wait} s, and ask again"
                raise Refused("rate-limit", "Too many requests", remedy=remedy, retry_after=wait)
        await self._app(scope, receive, send)
