"""Serve an ASGI app on a port, from a thread."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from dermafed.shared.errors import SettingsError
from dermafed.shared.port.admission import PortLimits
from dermafed.shared.port.guarded_server import GuardedServer
from dermafed.shared.sockets import bind_all, close_all

_START_SECONDS, _STOP_SECONDS = 30.0, 2
_LIMITS = PortLimits(kept_seconds=75)  # a handshake costs more than a call; a node keeps it for a minute


@dataclass(frozen=True)
class Certificate:
    """The certificate of a TLS listener.

    Attributes:
        chain: the certificate, PEM.
        key: its private key, PEM.
    """

    chain: Path
    key: Path


@contextmanager
def listening(
    app: ASGIApp,
    host: str,
    port: int,
    certificate: Certificate | None = None,
    limits: PortLimits = _LIMITS,
) -> Iterator[int]:
    """Serve an app for as long as the context lasts.

    Args:
        app: an ASGI app; its lifespan is not run, and it gets no websockets.
        host: an address to listen on, or a name: all its addresses.
        port: the port; 0 for any free port.
        certificate: for TLS 1.2 or later; without one, plain HTTP.
        limits: of connections and their time.

    Yields:
        The port.

    Raises:
        SettingsError: the port is in use, or the certificate cannot be used.
    """
    server = GuardedServer(_config(app, certificate), limits)
    bound = bind(host, port)
    at = bound[0].getsockname()[1]
    thread = Thread(target=server.run, kwargs={"sockets": bound}, daemon=True, name=f"listener-{at}")
    thread.start()
    try:
        _await_start(server, thread)
        yield at
    finally:
        server.should_exit = True
        thread.join()
        close_all(bound)


def _config(app: ASGIApp, certificate: Certificate | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        loop="asyncio",  # uvloop's connections have buffers of 256 KiB each, and it is no faster here
        http="h11",  # strict about a body with two lengths
        access_log=False,
        log_level="warning",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            "The server's certificate and key cannot be used",
            where=certificate.chain if certificate else "",
            remedy="Restore the trust folder from your backup",
        ) from error
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def bind(host: str, port: int) -> list[socket.socket]:
    """Open a port at all addresses of a host; ``::`` is IPv4 too.

    Raises:
        SettingsError: it is in use, or this machine or user may not open it.
    """
    try:
        return bind_all(host, port)
    except OSError as error:
        raise SettingsError(
            f"Port {port} cannot be opened: {error.strerror}",
            where=f"{host}:{port}",
            remedy="Stop the program that uses it, or choose another in server.toml",
        ) from error


def _await_start(server: uvicorn.Server, thread: Thread) -> None:
    end = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise SettingsError("A listener did not start", remedy="See the log above")
        time.sleep(0.01)
