"""Which connections a port keeps: those of known callers, and a few of every stranger's address."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("dermafed.port")

_LOG_SECONDS = 60.0


@dataclass(frozen=True)
class PortLimits:
    """The limits of a port; a stranger is whoever has not proved yet who they are.

    Attributes:
        strangers: their connections in all.
        of_address: strangers' connections from one address (IPv6: from one /64).
        of_name: connections of one known caller; more are a stranger's again.
        handshake_seconds: for the TLS handshake.
        head_seconds: for the headers of a request, from the connection or from their first byte.
        stranger_seconds: for all that a stranger does in one connection.
        kept_seconds: between two requests of a known caller in one connection.
    """

    strangers: int = 512
    of_address: int = 32
    of_name: int = 32
    handshake_seconds: float = 10.0
    head_seconds: float = 10.0
    stranger_seconds: float = 60.0
    kept_seconds: int = 5


@dataclass(eq=False)
class Connection:
    """An open connection.

    Attributes:
        address: where it comes from.
        close: ends it.
        name: of the known caller; empty for a stranger.
    """

    address: str
    close: Callable[[], object] = field(default=lambda: None)
    name: str = ""


class Admission:
    """The open connections of a port. Where there are too many, the oldest stranger's is closed.

    So whoever comes has a moment to show a key, however many others wait silently, even at the same address.
    """

    def __init__(self, limits: PortLimits) -> None:
        self._limits = limits
        self._open: dict[Connection, None] = {}  # the oldest first
        self._logged = -_LOG_SECONDS

    def enter(self, host: str) -> Connection:
        """Count a new connection, and close the oldest of a stranger where there are too many."""
        connection = Connection(address_group(host))
        strangers = [each for each in self._open if not each.name]
        if sum(each.address == connection.address for each in strangers) >= self._limits.of_address:
            self._close_oldest(connection.address)
        elif len(strangers) >= self._limits.strangers:
            self._close_oldest()
        self._open[connection] = None
        return connection

    def is_open(self, connection: Connection) -> bool:
        """Whether it has not ended, nor been closed to make room."""
        return connection in self._open

    def recognise(self, connection: Connection, name: str) -> bool:
        """Note whose connection it is; returns False if the caller has enough of them."""
        if not connection.name and connection in self._open:
            held = sum(each.name == name for each in self._open)
            connection.name = name if held < self._limits.of_name else ""
        return bool(connection.name)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._open.pop(connection, None)

    def make_room(self) -> None:
        """Close the older half of all strangers' connections."""
        for _ in range(1 + sum(not each.name for each in self._open) // 2):
            self._close_oldest()

    def _close_oldest(self, address: str | None = None) -> None:
        strangers = (each for each in self._open if not each.name and address in (None, each.address))
        if oldest := next(strangers, None):
            self._log(oldest.address)
            self.leave(oldest)
            oldest.close()

    def _log(self, address: str) -> None:
        if time.monotonic() - self._logged >= _LOG_SECONDS:
            self._logged = time.monotonic()
            log.warning("Too many connections of strangers: the oldest are closed, such as of %s", address)


def address_group(host: str) -> str:
    """The address by which connections are counted: of IPv6 the network, of which one machine has all."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(address), 64), strict=False))
        address = address.ipv4_mapped
    return str(address)
