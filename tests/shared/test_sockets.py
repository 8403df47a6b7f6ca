"""Ports of IPv4 and IPv6: of the server, its health page, and the DICOM receiver."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette

from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.dicom.receiver import start_receiver
from dermafed.server.coordinator.listener import listening
from dermafed.server.coordinator.server_process import LOOPBACK
from dermafed.shared.sockets import addresses, bind_all, bind_socket, close_all

TABLE = Path("/proc/net/if_inet6")
IPV6 = socket.has_ipv6 and TABLE.exists() and bool(TABLE.read_text())
BOTH = ["127.0.0.1", "::1"]

needs_ipv6 = pytest.mark.skipif(not IPV6, reason="this machine has no IPv6")


def answering(port: int) -> list[str]:
    """The loopback addresses that answer at a port."""
    found = []
    for host in BOTH:
        with suppress(OSError), socket.create_connection((host, port), 5):
            found.append(host)
    return found


@contextmanager
def bound(host: str, port: int = 0) -> Iterator[list[socket.socket]]:
    sockets = bind_all(host, port)
    try:
        for each in sockets:
            each.listen()
        yield sockets
    finally:
        close_all(sockets)


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "found"), [("::", BOTH), ("localhost", BOTH), ("0.0.0.0", BOTH[:1]), ("::1", BOTH[1:])]
)
def test_a_host_is_listened_on_at_all_its_addresses(host: str, found: list[str]) -> None:
    with bound(host) as sockets:
        assert len({each.getsockname()[1] for each in sockets}) == 1
        assert answering(sockets[0].getsockname()[1]) == found


@needs_ipv6
def test_a_port_in_use_at_one_of_them_is_refused_and_nothing_stays_open() -> None:
    with bound("::1") as (taken,):
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as error:
            bind_all("localhost", port)
        assert error.value.errno == errno.EADDRINUSE
        assert answering(port) == ["::1"]


def test_an_address_that_the_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ipv6(family: socket.AddressFamily, address: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return bind_socket(family, address)

    monkeypatch.setattr("dermafed.shared.sockets.bind_socket", without_ipv6)
    with bound("localhost") as sockets:
        assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
    with pytest.raises(OSError, match="Cannot assign"):
        bind_all("::1", 0)
    assert addresses("192.0.2.1", 80) == [(socket.AF_INET, ("192.0.2.1", 80))]


@needs_ipv6
@pytest.mark.parametrize("host", ["::", LOOPBACK])
def test_the_server_listens_on_both(host: str) -> None:
    with listening(Starlette(), host, 0) as port:
        assert answering(port) == BOTH
    assert answering(port) == []


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "localhost"])
def test_dicom_listens_on_both(host: str) -> None:
    with bound("localhost") as sockets:
        port = sockets[0].getsockname()[1]
    settings = DicomSettings.model_validate({"devices": {"CAMERA": "camera-1"}, "port": port, "host": host})
    with ExitStack() as stops:
        stops.callback(start_receiver(SimpleNamespace(), settings))  # type: ignore[arg-type]
        assert answering(port) == BOTH
    assert answering(port) == []
