"""HTTP/1.1 by uvicorn, with a time limit for a request's headers."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class GuardedProtocol(H11Protocol):
    """Closes a connection whose next headers take too long; uvicorn itself waits for ever."""

    def __init__(self, head_seconds: float, **arguments: Any) -> None:
        """Make the protocol of one connection.

        Args:
            head_seconds: for the headers of each request.
            arguments: uvicorn's.
        """
        super().__init__(**arguments)
        self.ended = asyncio.Event()
        self._head_seconds = head_seconds
        self._headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time of the first headers."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on; more of them do not extend the time."""
        super().data_received(data)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        self._cancel_timer()
        self.ended.set()

    def shutdown(self) -> None:
        """End after the request in progress."""
        if not self.transport.is_closing():  # asyncio's TLS, closed twice, can no more be aborted
            super().shutdown()
        self._abort_when_idle()

    def _start_timer(self) -> None:
        """The time runs from the connection or the first byte."""
        if self._is_busy():
            self._cancel_timer()
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(self._head_seconds, self._close_if_idle)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _abort_when_idle(self) -> None:
        """A client that does not return TLS's close notification would delay the process's end."""
        busy = self._is_busy() or self.transport.get_write_buffer_size()
        self.loop.call_later(1, self._abort_when_idle if busy else self.transport.abort)

    def _cancel_timer(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _close_if_idle(self) -> None:
        self._headers_due = None
        if not self._is_busy() and not self.transport.is_closing():
            self.transport.close()
