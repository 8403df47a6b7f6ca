"""How much, and how long, one DICOM object may take to come; pynetdicom itself reads on without a bound."""

from __future__ import annotations

import time

from pynetdicom import evt
from pynetdicom.transport import AssociationSocket

_REQUEST_BYTES = 64 * 1024  # of an association's request, from whomever it comes
_CHUNK = 2**16


class Bounds:
    """Of one association: counts what a message takes, and ends the connection beyond it."""

    def __init__(self, socket: AssociationSocket, most: int, seconds: float) -> None:
        """Takes the place of the socket's own reading.

        Args:
            socket: of the association.
            most: bytes of one message.
            seconds: for it to come whole, from its first byte.
        """
        self._socket, self._most, self._seconds = socket, most, seconds
        self._left, self._end = _REQUEST_BYTES, time.monotonic() + seconds
        socket.recv = self._receive  # type: ignore[method-assign]

    def restart(self, _: evt.Event) -> None:
        """The next message begins."""
        self._left, self._end = self._most, float("inf")

    def _receive(self, nr_bytes: int) -> bytearray:
        self._end = min(self._end, time.monotonic() + self._seconds)
        self._left -= nr_bytes  # a unit tells its length before it comes: a lie costs nothing
        received = bytearray()
        try:
            while len(received) < nr_bytes and (part := self._part(nr_bytes - len(received))):
                received += part
        except OSError:
            self._socket.close()
            raise
        return received

    def _part(self, count: int) -> bytes:
        seconds, connection = self._end - time.monotonic(), self._socket.socket
        if self._left < 0 or seconds <= 0:
            raise OSError("beyond the bounds of a DICOM object")
        if connection is None:
            return b""
        connection.settimeout(seconds)
        return connection.recv(min(count, _CHUNK))


def bound(event: evt.Event, most: int, seconds: float) -> None:
    """Handler of a connection that opens: bounds its association; see :class:`Bounds`."""
    socket = event.assoc.dul.socket
    assert socket is not None, "a connection that is open has one"
    bounds = Bounds(socket, most, seconds)
    for end_of_message in (evt.EVT_REQUESTED, evt.EVT_DIMSE_RECV):
        event.assoc.bind(end_of_message, bounds.restart)
