"""A request's body: so large, within so long, before anything of it is kept."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.intake.refusals import Refused


class BodyLimit:
    """ASGI middleware that counts a body while it comes, whatever its Content-Length says."""

    def __init__(self, app: ASGIApp, largest: int, seconds: float) -> None:
        """Limits every body.

        Args:
            app: what comes next.
            largest: bytes.
            seconds: for the whole body.
        """
        self._app, self._largest, self._seconds = app, largest, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on; refuses it (413, 408) at its first byte too many or second too late."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._largest:
            raise _too_large(self._largest)
        body = _Body(receive, self._largest, time.monotonic() + self._seconds)

        async def send_unless_refused(message: Message) -> None:
            # Whatever the app has made of the exception, a refused body gets this answer and no other.
            if body.refused is not None:
                raise body.refused
            await send(message)

        await self._app(scope, body.receive, send_unless_refused)


class _Body:
    """One body on its way in."""

    def __init__(self, receive: Receive, largest: int, deadline: float) -> None:
        self.refused: Refused | None = None
        self._receive, self._largest, self._deadline = receive, largest, deadline
        self._bytes, self._more = 0, True

    async def receive(self) -> Message:
        """The next part; after the last one, the news that the client has gone."""
        if not self._more:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - time.monotonic())
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
    what = f"The request is larger than {largest >> 20} MiB"
    return Refused("too-large", what, remedy="Send a smaller image")
