"""A real clinic's node: ``fl-client init``, ``token`` and ``serve``, each its own process."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

FL_CLIENT = (sys.executable, "-c", "from dermafed.client.cli import main; main()")
_START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Node:
    """A node that answers.

    Attributes:
        address: where.
        trusted: verifies its certificate.
        tokens: of devices.
        pid: of its process.
    """

    address: str
    trusted: ssl.SSLContext
    tokens: tuple[str, ...]
    pid: int


@contextmanager
def running_node(model: str, images: Path, folder: Path, devices: int) -> Iterator[Node]:
    """A new clinic's node with this model, from its first answer to its end."""
    home, port = folder / "clinic", _free_port()
    _fl_client("init", str(home), "--clinic", "bench", "--data", str(images))
    tokens = [_fl_client("token", f"device-{number}", "--dir", str(home)) for number in range(devices)]
    serve = ("serve", "--model", str(Path(model).resolve()), "--port", str(port), "--dir", str(home))
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen([*FL_CLIENT, *serve], stdout=log, stderr=log)
    try:
        address = f"https://127.0.0.1:{port}"
        trusted = _when_it_answers(address, home / "serving" / "ca.pem", process, folder / "serve.log")
        yield Node(address, trusted, tuple(tokens), process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _fl_client(*arguments: str) -> str:
    done = subprocess.run([*FL_CLIENT, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _when_it_answers(address: str, ca: Path, process: subprocess.Popen[bytes], log: Path) -> ssl.SSLContext:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if ca.exists():
            trusted = ssl.create_default_context(cafile=ca)
            try:
                if httpx.get(f"{address}/health", verify=trusted).is_success:
                    return trusted
            except httpx.TransportError:
                pass
        time.sleep(0.5)
    sys.exit(f"The node did not start:\n{log.read_text('utf-8', 'replace')}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
