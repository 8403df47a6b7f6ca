"""What bytes take on this machine's loopback: over TLS, in one connection, between two processes."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

PIECE = bytes(1 << 20)


def loopback_seconds(certificate: Path, key: Path, megabytes: float) -> float:
    """Seconds that so many MB take in one direction."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        with subprocess.Popen([sys.executable, __file__, port], stdout=subprocess.PIPE) as receiver:
            accepted, _ = listening.accept()
            with context.wrap_socket(accepted, server_side=True) as sending:
                start = time.monotonic()
                for _ in range(max(1, round(megabytes * 1e6 / len(PIECE)))):
                    sending.sendall(PIECE)
                sending.sendall(b"end")
                assert sending.recv(1)  # all has been read
                taken = time.monotonic() - start
            receiver.wait()
    return taken


def receive(port: int) -> None:
    """Read until the end, and say so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the time is the same
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain) as receiving,
    ):
        last = b""
        while not last.endswith(b"end"):
            last = (last + receiving.recv(len(PIECE)))[-3:]
        receiving.sendall(b"1")


if __name__ == "__main__":
    receive(int(sys.argv[1]))
