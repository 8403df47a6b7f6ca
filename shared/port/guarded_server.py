"""uvicorn with limits of connections by address and in all, and of the time of each step."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import uvicorn
from starlette.types import Scope

from dermafed.shared.port.admission import Admission, Connection, PortLimits
from dermafed.shared.port.guarded_protocol import GuardedProtocol

_RECOGNISE = "dermafed.recognise"
_FULL_SECONDS = 0.1  # between two tries while the process has no file descriptor left
_GOODBYE_SECONDS = 5.0  # for the answer to TLS's close notification


def recognise(scope: Scope, name: str) -> bool:
    """Tell the port whose request this is: strangers' connections may be closed, a known caller's are not.

    Args:
        scope: of the request; behind another server nothing happens.
        name: of a caller who has proved it.

    Returns:
        False if the connection was closed meanwhile: the caller gets no answer, and will call again.
    """
    tell = cast("Callable[[str], bool] | None", scope.get("state", {}).get(_RECOGNISE))
    return tell is None or tell(name)


class GuardedServer(uvicorn.Server):
    """uvicorn's server of HTTP, behind an :class:`Admission`."""

    def __init__(self, config: uvicorn.Config, limits: PortLimits) -> None:
        """Make a server; uvicorn's ``run`` and ``serve`` start it, with sockets.

        Args:
            config: uvicorn's.
            limits: of the port; a process that may open few files has fewer of strangers.
        """
        super().__init__(config)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._limits = replace(limits, strangers=min(limits.strangers, files // 2))
        self._admission = Admission(self._limits)
        self._accepting: list[asyncio.Task[None]] = []
        self._open: dict[asyncio.Task[None], GuardedProtocol] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections by a loop of its own; uvicorn's limits begin after the TLS handshake."""
        await self.lifespan.startup()
        self.servers = []
        for listening in sockets or []:
            listening.setblocking(False)
            listening.listen(self.config.backlog)
            self._accepting.append(asyncio.create_task(self._accept(listening)))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, end the handshakes, and finish the requests in progress."""
        handshakes = [task for task, protocol in self._open.items() if protocol.transport is None]
        for task in (ending := [*self._accepting, *handshakes]):
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError:  # no file descriptor is left, or the client has gone
                self._admission.make_room()
                await asyncio.sleep(_FULL_SECONDS)
                continue
            self._hold(accepted, self._admission.enter(address[0]))
            await asyncio.sleep(0)  # many that wait do not keep the loop from the others

    def _hold(self, accepted: socket.socket, connection: Connection) -> None:
        """Serve a connection, in a task whose cancellation closes it."""
        state: dict[str, Any] = {}
        protocol = GuardedProtocol(
            self._limits.head_seconds,
            config=self.config,
            server_state=self.server_state,
            app_state=state,
        )
        task = asyncio.create_task(self._serve_one(accepted, protocol))
        timer = asyncio.get_running_loop().call_later(self._limits.stranger_seconds, task.cancel)

        def tell(name: str) -> bool:
            if self._admission.recognise(connection, name):
                timer.cancel()
                protocol.timeout_keep_alive = self._limits.kept_seconds
            return self._admission.is_open(connection)

        def end(task: asyncio.Task[None]) -> None:
            timer.cancel()
            self._admission.leave(connection)
            del self._open[task]

        state[_RECOGNISE], connection.close = tell, task.cancel
        self._open[task] = protocol
        task.add_done_callback(end)

    async def _serve_one(self, accepted: socket.socket, protocol: GuardedProtocol) -> None:
        tls = self.config.ssl
        seconds = (
            {
                "ssl_handshake_timeout": self._limits.handshake_seconds,
                "ssl_shutdown_timeout": _GOODBYE_SECONDS,
            }
            if tls
            else {}
        )
        with suppress(OSError):  # of a handshake that fails, or takes too long
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, accepted, ssl=tls, **seconds
            )
            try:
                await protocol.ended.wait()
            finally:
                transport.abort()
