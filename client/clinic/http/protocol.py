"""HTTP/1.1 by uvicorn, with an end to connections that say nothing."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def http_protocol(seconds: float) -> type[H11Protocol]:
    """A protocol that closes a connection whose next request's headers take longer than so many seconds."""

    class TimedProtocol(H11Protocol):
        """uvicorn itself waits for ever, even for one byte an hour."""

        _headers_due: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
            self._expect_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_waiting()

        def shutdown(self) -> None:
            if not self.transport.is_closing():  # asyncio's TLS, closed twice, can no more be aborted
                super().shutdown()
            self._let_go()

        def _expect_headers(self) -> None:
            """The time runs from the first byte, or from the connection; more bytes do not set it back."""
            if self._at_work():
                self._stop_waiting()
            elif self._headers_due is None:
                self._headers_due = self.loop.call_later(seconds, self._end)

        def _at_work(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _let_go(self) -> None:
            """A client that does not return TLS's goodbye would hold the node's end up for 30 s."""
            busy = self._at_work() or self.transport.get_write_buffer_size()
            self.loop.call_later(1, self._let_go if busy else self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._headers_due is not None:
                self._headers_due.cancel()
                self._headers_due = None

        def _end(self) -> None:
            self._headers_due = None
            if not self._at_work() and not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol
