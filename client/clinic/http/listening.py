"""Listen for HTTP/1.1 connections by uvicorn, at all addresses of a name."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.shared.errors import SettingsError
from dermafed.shared.port.admission import PortLimits
from dermafed.shared.port.guarded_server import GuardedServer
from dermafed.shared.protocol.invitation import join_address
from dermafed.shared.sockets import addresses, bind_socket

BackgroundTask = AbstractAsyncContextManager[None]
"""What runs as long as the node, such as a DICOM receiver: entered at its start, left at its end."""

_FINISH_SECONDS = 60  # for requests in progress, at the end


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """The address that a node listens on.

    Attributes:
        host: a name (all its addresses) or an IP address of this machine; ``0.0.0.0`` is all of IPv4,
            ``::`` all of IPv4 and IPv6.
        port: 0 takes a free one.
        tls: without it, only this machine itself may connect.

    Raises:
        SettingsError: without TLS, and open to other machines.
    """

    host: str
    port: int
    tls: bool = True

    def __post_init__(self) -> None:
        if not self.tls and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise SettingsError(
                "Without TLS, other machines may not connect",
                where=self.host,
                remedy="Leave out --plain-http, or listen on 127.0.0.1",
            )

    @contextmanager
    def bound(self) -> Iterator[socket.socket]:
        """A socket bound to it, which accepts no connection yet.

        Raises:
            SettingsError: it cannot be opened.
        """
        try:
            bound = bind_socket(*addresses(self.host, self.port)[0])
        except OSError as error:
            raise self._refused(error) from error
        with bound:
            yield bound

    @contextmanager
    def beside(self, bound: socket.socket) -> Iterator[list[socket.socket]]:
        """Sockets of the same port at the other addresses of the name, such as ``::1`` beside ``127.0.0.1``.

        Raises:
            SettingsError: the port is in use there.
        """
        with ExitStack() as opened:
            others = []
            for family, address in addresses(self.host, bound.getsockname()[1])[1:]:
                try:
                    others.append(opened.enter_context(bind_socket(family, address)))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        raise self._refused(error) from error
            yield others

    def names(self, settings: ServeSettings) -> tuple[str, ...]:
        """The names by which it is reached, beside ``localhost``."""
        own = () if _is_any(self.host) else (self.host,)
        return (*own, *settings.hosts, socket.gethostname())

    def address(self, bound: socket.socket) -> str:
        """The address of the page."""
        host = "localhost" if _is_any(self.host) else self.host
        return f"{'https' if self.tls else 'http'}://{join_address(host, bound.getsockname()[1])}"

    def _refused(self, error: OSError) -> SettingsError:
        return SettingsError(
            f"Port {self.port} cannot be opened: {error.strerror}",
            where=join_address(self.host, self.port),
            remedy="Stop the program that uses it, or choose another --port or --host",
        )


def listen(
    app: FastAPI,
    bound: Sequence[socket.socket],
    context: ssl.SSLContext | None,
    settings: ServeSettings,
    background: Sequence[BackgroundTask],
    ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C, and finish the requests in progress; a second signal ends at once.

    Args:
        app: the application.
        bound: the bound sockets.
        context: TLS; ``None`` for plain HTTP.
        settings: the limits.
        background: runs meanwhile; what a task raises at its start is raised here.
        ready: is called once connections are accepted.
    """
    server = make_server(app, context, settings, ready)
    asyncio.run(_serve(server, bound, background))


def make_server(
    app: FastAPI, context: ssl.SSLContext | None, settings: ServeSettings, ready: Callable[[], None]
) -> uvicorn.Server:
    """The server that :func:`listen` runs."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_FINISH_SECONDS,
        ssl_context_factory=None if context is None else (lambda config, default: context),
    )
    return _Server(config, PortLimits(head_seconds=settings.header_seconds), ready)


async def _serve(
    server: uvicorn.Server, bound: Sequence[socket.socket], background: Sequence[BackgroundTask]
) -> None:
    async with AsyncExitStack() as running:
        for task in background:
            await running.enter_async_context(task)
        await server.serve(list(bound))


class _Server(GuardedServer):
    """uvicorn, with a call when it is ready, and an exit code of 0 after a signal."""

    def __init__(self, config: uvicorn.Config, limits: PortLimits, ready: Callable[[], None]) -> None:
        super().__init__(config, limits)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
