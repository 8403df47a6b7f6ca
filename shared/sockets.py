"""Sockets to listen on, of IPv4 and IPv6."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Any

Address = tuple[socket.AddressFamily, Any]


def addresses(host: str, port: int) -> list[Address]:
    """The addresses of a host, each once; raises OSError where it has none."""
    if host == "localhost":  # whatever the machine's own table says
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def bind_all(host: str, port: int) -> list[socket.socket]:
    """Sockets at all addresses of a host, of one port.

    Raises:
        OSError: none can be opened, or the port is in use at one of them.
    """
    bound: list[socket.socket] = []
    failure = OSError(errno.EADDRNOTAVAIL, "there is no such address")
    for family, address in addresses(host, port):
        own = (address[0], bound[0].getsockname()[1] if bound else port, *address[2:])
        try:
            bound.append(bind_socket(family, own))
        except OSError as error:
            failure = error
            if error.errno == errno.EADDRINUSE:
                close_all(bound)
                raise
    if not bound:
        raise failure
    return bound


def close_all(bound: list[socket.socket]) -> None:
    """Close sockets."""
    for each in bound:
        with suppress(OSError):
            each.close()


def bind_socket(family: socket.AddressFamily, address: Any) -> socket.socket:
    """A socket at an address; raises OSError where that is impossible."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Those accepted inherit it. Without it an answer's second part waits 40 ms for the first one's
        # acknowledgement; asyncio sees to that only for sockets that name their protocol.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:  # whatever the machine's default: "::" is IPv4 too
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address[0] == "::" else 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
