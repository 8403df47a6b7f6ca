"""A network namespace that records every name look-up, of any program and library.

It has a loopback device only, and this program is its resolver; ``/etc/resolv.conf``, ``hosts`` and
``nsswitch.conf`` are replaced in a mount namespace. Arguments: the folder of the log, the known name.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

LOG = "lookups.txt"
ETC = {
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "hosts: files dns\n",
}
A, NO_SUCH_NAME = 1, 3


@dataclass(frozen=True)
class Place:
    """A namespace for commands whose look-ups are recorded.

    Attributes:
        prefix: the start of a command in the namespace.
        log: the file of the names, one on each line.
    """

    prefix: tuple[str, ...]
    log: Path

    def names(self) -> set[str]:
        return set(self.log.read_text().split())


def _unshare() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "--net"]


def why_not() -> str | None:
    """The reason why this machine cannot make the namespace, if there is one."""
    if not all(map(shutil.which, ("unshare", "nsenter", "ip", "mount"))):
        return "unshare, nsenter, ip or mount is not installed"
    tried = subprocess.run([*_unshare(), "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return f"no namespaces: {tried.stderr.decode().strip()}" if tried.returncode else None


@contextmanager
def place(folder: Path, known: str) -> Iterator[Place]:
    """The namespace, in which only ``known`` resolves, to this machine."""
    command = [*_unshare(), sys.executable, "-m", __name__, str(folder), known]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        enter = ("nsenter", "--target", str(process.pid), *user, "--mount", "--net", "--")
        try:
            yield Place(enter, folder / LOG)
        finally:
            process.terminate()


def main(folder: Path, known: str) -> None:
    """Set up the namespace of this process, and resolve names."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, text in ETC.items():
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", folder / name, Path("/etc") / name], check=True)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        (folder / LOG).open("w", buffering=1) as log,
    ):
        server.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        while True:
            packet, caller = server.recvfrom(4096)
            name, kind, end = question(packet)
            log.write(f"{name}\n")
            server.sendto(answer(packet[:end], name == known, kind), caller)


def question(packet: bytes) -> tuple[str, int, int]:
    """The name and type of a query, and the end of its question (RFC 1035, 4.1.2)."""
    labels, at = list[str](), 12
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels), int.from_bytes(packet[at + 1 : at + 3], "big"), at + 5


def answer(query: bytes, known: bool, kind: int) -> bytes:
    """127.0.0.1 for the known name, no data for its other types, no such name for all others."""
    found = known and kind == A
    flags = 0x8180 | (0 if known else NO_SUCH_NAME)
    counts = b"".join(number.to_bytes(2, "big") for number in (1, int(found), 0, 0))
    record = b"\xc0\x0c" + bytes((0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1))
    return query[:2] + flags.to_bytes(2, "big") + counts + query[12:] + (record if found else b"")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
