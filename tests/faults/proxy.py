"""A way between a node and its server that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Way:
    """Forwards TCP; while it is cut, no byte passes, and neither side is notified.

    Connections of before a cut stay dead when it is over, as behind a firewall that has forgotten them.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def cut(self) -> None:
        self._cuts += 1
        self._open.clear()

    def restore(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._listening.close()
        self.restore()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=self._listening.accept()[:1], daemon=True).start()

    def _serve(self, node: socket.socket) -> None:
        with suppress(OSError), node:
            self._open.wait()  # a refused connection is one that nobody accepts
            with socket.create_connection(("127.0.0.1", self._server)) as server:
                back = threading.Thread(target=self._pump, args=(server, node, self._cuts), daemon=True)
                back.start()
                self._pump(node, server, self._cuts)
                back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, cuts: int) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and self._cuts == cuts:
                sink.sendall(data)
            if self._cuts == cuts:
                sink.shutdown(socket.SHUT_WR)
        # What arrives after a cut is dropped, until its sender gives up.
        with suppress(OSError):
            while self._cuts != cuts and source.recv(65536):
                pass


@contextmanager
def way_to(port: int) -> Iterator[Way]:
    way = Way(port)
    try:
        yield way
    finally:
        way.close()
