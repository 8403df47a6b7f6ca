"""A real clinic's node (``fl-client init``, ``token``, ``serve``, each its own process) and its devices."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

FL_CLIENT = (sys.executable, "-c", "from dermafed.client.cli import main; main()")
_START_SECONDS = 300.0

BUSY = (429, 503)  # the node's stated limits: requests a minute, requests in progress
_PATIENCE = 900.0  # seconds; a machine may sleep


@dataclass(frozen=True, slots=True)
class Node:
    """A running node.

    Attributes:
        address: its address.
        trusted: the TLS context that verifies its certificate.
        tokens: tokens of the devices.
        pid: its process.
    """

    address: str
    trusted: ssl.SSLContext
    tokens: tuple[str, ...]
    pid: int


@contextmanager
def running_node(
    model: str, images: Path, folder: Path, devices: int, role: str = "device"
) -> Iterator[Node]:
    """A new clinic's node with this model, from its first response to its end."""
    home, tokens = make_clinic(images, folder, devices, role)
    with serving(home, model, folder / "serve.log") as (address, trusted, pid):
        yield Node(address, trusted, tokens, pid)


def make_clinic(
    images: Path, folder: Path, devices: int, role: str = "device"
) -> tuple[Path, tuple[str, ...]]:
    """A new clinic's folder, and the tokens of its devices."""
    home = folder / "clinic"
    _fl_client("init", str(home), "--clinic", "bench", "--data", str(images))
    tokens = (
        _fl_client("token", f"{role}-{number}", "--role", role, "--dir", str(home))
        for number in range(devices)
    )
    return home, tuple(tokens)


@contextmanager
def serving(home: Path, model: str, log: Path) -> Iterator[tuple[str, ssl.SSLContext, int]]:
    """``fl-client serve`` of a clinic's folder: its address, how to trust it, its process."""
    port = _free_port()
    where = ("--port", str(port), "--dir", str(home))
    serve = ("serve", "--model", str(Path(model).resolve()), *where, "--synthetic")
    with log.open("wb") as output:
        process = subprocess.Popen([*FL_CLIENT, *serve], stdout=output, stderr=output)
    try:
        address = f"https://127.0.0.1:{port}"
        yield address, _wait_until_healthy(address, home / "serving" / "ca.pem", process, log), process.pid
    finally:
        process.terminate()
        process.wait(60)


def _fl_client(*arguments: str) -> str:
    done = subprocess.run([*FL_CLIENT, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _wait_until_healthy(
    address: str, ca: Path, process: subprocess.Popen[bytes], log: Path
) -> ssl.SSLContext:
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
        time.sleep(0.05)
    sys.exit(f"The node did not start:\n{log.read_text('utf-8', 'replace')}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Device:
    """A device: sends images, and measures the responses with probabilities and heatmaps.

    Attributes:
        node: its node.
        token: its token.
        diagnosed: seconds from the image to the probabilities.
        explained: seconds from the image to the heatmap.
        ids: the diagnoses that it got.
        refused: number of responses by status, except success.
    """

    node: Node
    token: str
    diagnosed: list[float] = field(default_factory=list)
    explained: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._client = httpx.Client(
            base_url=self.node.address,
            verify=self.node.trusted,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=_PATIENCE,
        )

    def diagnose(self, image: bytes, *, heatmap: bool) -> None:
        """Send an image as a new request, and get its heatmap if asked."""
        start = time.perf_counter()
        metadata = {"metadata": json.dumps({"request": uuid.uuid4().hex})}
        response = self._client.post("/v1/diagnoses", files={"image": image}, data=metadata)
        if not self._accepted(response):
            return
        self.diagnosed.append(time.perf_counter() - start)
        self.ids.append(response.json()["id"])
        if heatmap and self._accepted(self._client.get(f"/v1/diagnoses/{self.ids[-1]}/heatmap.png")):
            self.explained.append(time.perf_counter() - start)

    def lost(self) -> int:
        """Number of its diagnoses that the node cannot find."""
        return sum(not self._exists(id) for id in self.ids)

    def _exists(self, id: str) -> bool:
        while (response := self._client.get(f"/v1/diagnoses/{id}")).status_code in BUSY:
            time.sleep(float(response.headers.get("Retry-After", 1)))
        return response.is_success

    def _accepted(self, response: httpx.Response) -> bool:
        if response.status_code in BUSY:
            time.sleep(float(response.headers.get("Retry-After", 1)))
        if not response.is_success:
            self.refused[response.status_code] += 1
        return response.is_success
