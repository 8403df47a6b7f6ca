"""HTTP as raw bytes, for what no client library would send."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass

from tests.client.clinic.http.http_node import Node


@dataclass
class Raw:
    """A connection."""

    socket: ssl.SSLSocket

    def answer(self) -> bytes:
        """All that comes until the node closes."""
        received = b""
        try:
            while part := self.socket.recv(65536):
                received += part
        except ConnectionResetError:
            pass
        return received

    def seconds_until_closed(self) -> float:
        start = time.monotonic()
        self.answer()
        return time.monotonic() - start


def connect(node: Node) -> Raw:
    plain = socket.create_connection(("127.0.0.1", node.port), timeout=30)
    return Raw(node.tls.wrap_socket(plain, server_hostname="127.0.0.1"))


def head(node: Node, token: str, *lines: str, path: str = "/v1/diagnoses") -> bytes:
    """The beginning of a form's upload."""
    first = (
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{node.port}",
        f"Authorization: Bearer {token}",
        "Content-Type: multipart/form-data; boundary=x",
    )
    return "\r\n".join((*first, *lines, "", "")).encode()


def form(image: bytes, name: str = "image") -> bytes:
    """A form with one file."""
    start = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'
    return start.encode() + image + b"\r\n--x--\r\n"
