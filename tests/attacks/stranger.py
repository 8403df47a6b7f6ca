"""Someone without a key: connections that say nothing, or stop in the middle, and what they cost."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.paths import ROOT

BODY = 16 * 2**20
FILES = 128
"""Files that an attacked process may open: a flood of some hundred connections then uses up all of them."""


@dataclass
class Attacked:
    """A process with a public port; see :mod:`tests.attacks.port_process`."""

    process: subprocess.Popen[str]
    port: int
    node: int
    folder: Path

    def status(self, field: str) -> int:
        """A number of ``/proc/PID/status``."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field + ":")).split()[1])

    def peak_mib(self) -> float:
        return self.status("VmHWM") / 1024

    def cpu_seconds(self) -> float:
        used = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def allow_files(self, count: int) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (count, FILES))

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    def tcp(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection that says nothing."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(source, 0))

    def secured(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """The same after the handshake."""
        return self.tls().wrap_socket(self.tcp(source), server_hostname="127.0.0.1")

    def client(self, seconds: float = 10.0) -> httpx.Client:
        url = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, verify=self.tls(), trust_env=False, timeout=seconds)


@contextmanager
def attacked(folder: Path, kind: str, guard: str, files: int = FILES) -> Iterator[Attacked]:
    """The process, once its port is open."""
    command = [sys.executable, "-m", "tests.attacks.port_process", str(folder), kind, guard, str(files)]
    with (folder / f"{kind}-{guard}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / f"{kind}-{guard}.log").read_text()
        port, node = map(int, line.split())
        yield Attacked(process, port, node, folder)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def flood(port: Attacked, count: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections that say nothing, or as many as can be had."""
    held = []
    try:
        for _ in range(count):
            held.append(port.tcp(source))
    except OSError:
        pass
    try:
        yield held
    finally:
        for connection in held:
            connection.close()


def send_short_bodies(
    port: Attacked, count: int, headers: Callable[[], dict[str, str]] = dict
) -> list[socket.socket]:
    """Calls at the same time whose bodies lack one byte; their connections stay open."""
    held: list[socket.socket] = []
    start = f"POST /v1/fleet/push-object HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n"

    def send() -> None:
        connection = port.secured()
        held.append(connection)
        connection.settimeout(10)
        try:
            sent = {"content-type": "application/protobuf", **headers()}
            lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            connection.sendall(f"{start}{lines}\r\n".encode())
            connection.sendall(bytes(BODY - 1))
        except OSError:  # it was cut off, or is not read on
            pass

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return held


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side closes, whatever it says before."""
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(65536):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False
