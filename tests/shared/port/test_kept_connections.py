"""How long a connection is kept between two requests: a known caller's as long as the port says."""

from __future__ import annotations

import http.client
import time

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dermafed.server.coordinator.listener import listening
from dermafed.shared.port.admission import PortLimits
from dermafed.shared.port.guarded_server import recognise


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/known":
        recognise(scope, "graz")
    await Response("hello")(scope, receive, send)


@pytest.mark.parametrize(("path", "least", "most"), [("/known", 1.0, 4.0), ("/other", 4.5, 30.0)])
def test_a_connection_is_kept_by_who_calls(path: str, least: float, most: float) -> None:
    with listening(app, "127.0.0.1", 0, limits=PortLimits(kept_seconds=1)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path)
        assert connection.getresponse().read() == b"hello"
        start = time.monotonic()
        assert connection.sock.recv(1) == b""  # closed
        assert least <= time.monotonic() - start < most
