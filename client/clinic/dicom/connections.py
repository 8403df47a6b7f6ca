"""The connections of the DICOM port: those that never associate keep no device out."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from socketserver import BaseServer
from typing import Any, cast
from weakref import WeakSet

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import ThreadedAssociationServer

from dermafed.shared.port.admission import address_group

_ENDING = 64  # connections that are closed, and whose threads have not ended yet
_FULL_SECONDS = 0.1  # between two tries while the process has no file descriptor left


class CountingEntity(AE):
    """Counts associations only: pynetdicom counts every connection, so that silent ones keep devices out."""

    @property
    def active_associations(self) -> list[Association]:
        """Those that are established, and the one whose thread asks."""
        asking = threading.current_thread()
        return [each for each in super().active_associations if each.is_established or each is asking]


class LimitedServer(ThreadedAssociationServer):
    """Limits connections that never associate; a slow TLS handshake does not delay others."""

    request_queue_size = 128  # with pynetdicom's 5, a few at the same time wait a second

    def __init__(self, bound: socket.socket, *arguments: Any, **options: Any) -> None:
        """Listen on a bound socket."""
        self._bound = bound
        self._closing: WeakSet[Association] = WeakSet()
        super().__init__(*arguments, **options)

    def server_bind(self) -> None:
        """Take the bound socket."""
        self.socket = self._bound

    def verify_request(self, request: object, client_address: tuple[str, int]) -> bool:
        """Let a new connection in; where there are too many, the oldest that has not associated is closed."""
        most = self.ae.maximum_associations
        waiting = [
            each for each in self.active_associations if not each.is_established and each not in self._closing
        ]
        address = address_group(client_address[0])
        near = [each for each in waiting if _address(each) == address]
        if len(near) >= 2 * most or len(waiting) >= 4 * most:
            oldest = near[0] if len(near) >= 2 * most else waiting[0]
            self._closing.add(oldest)
            disconnect(oldest)
        return self._has_room(5 * most + _ENDING)

    def _has_room(self, most: int) -> bool:
        """Whether there are fewer connections; waits a moment for the end of those that are closed."""
        end = time.monotonic() + _FULL_SECONDS * 20
        while len(self.active_associations) >= most and time.monotonic() < end:
            time.sleep(_FULL_SECONDS)
        return len(self.active_associations) < most

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; its TLS handshake is left to its own thread."""
        assert self.socket is not None, "it listens"
        try:
            connection, address = self.socket.accept()
        except OSError:  # such as of no file descriptor left
            time.sleep(_FULL_SECONDS)
            raise
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def shutdown(self) -> None:
        """Listen no more."""
        BaseServer.shutdown(self)  # pynetdicom's own searches only among its other servers
        self.server_close()


def _address(association: Association) -> str:
    info = association.requestor.address_info
    return address_group(info.address) if info else ""


def disconnect(association: Association) -> None:
    """Close the socket under an association whose threads read from it or wait for a request."""
    transport = association.dul.socket
    if transport is not None and transport.socket is not None:
        with suppress(OSError):
            socket.socket.shutdown(transport.socket, socket.SHUT_RDWR)
    association.dul.to_user_queue.put(cast("Any", None))  # as if its time were over
