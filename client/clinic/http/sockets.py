"""Sockets to listen on, of IPv4 and IPv6."""

from __future__ import annotations

import socket
from typing import Any


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
