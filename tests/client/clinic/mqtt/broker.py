"""A real mosquitto with the configuration of ``docker/mosquitto``."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.client.certificates import certificate
from tests.paths import ROOT

CONFIGURATION = ROOT / "docker" / "mosquitto"
CLINIC, NODE = "north", "node"
PATIENCE = 60.0

needs_mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")),
    reason="mosquitto is not installed",
)


class Broker:
    """The broker of the clinic "north", with the node's user and those of some devices."""

    def __init__(self, folder: Path, devices: tuple[str, ...] = ("scope", "phone")) -> None:
        (folder / "data").mkdir(parents=True)
        self.folder, self.port = folder, _free_port()
        self.ca = certificate(folder, "127.0.0.1").ca
        self.passwords = {name: f"{name} secret" for name in (NODE, *devices)}
        for name, password in self.passwords.items():
            (folder / name).write_text(password + "\n")
            (folder / name).chmod(0o600)
            self._add_user(name, password)
        shutil.copy(CONFIGURATION / "acl", folder)
        self._configure()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def saved(self) -> Path:
        """Where it stores what it has acknowledged."""
        return self.folder / "data" / "mosquitto.db"

    def start(self) -> None:
        """Returns when it listens."""
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program
        with (self.folder / "log").open("ab") as log:
            command = [program, "-c", str(self.folder / "mosquitto.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not _listens(self.port):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: it saves nothing more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _add_user(self, name: str, password: str) -> None:
        file = self.folder / "passwords"
        file.touch(0o600)
        subprocess.run(["mosquitto_passwd", "-b", str(file), name, password], check=True, capture_output=True)

    def _configure(self) -> None:
        text = (CONFIGURATION / "mosquitto.conf").read_text("utf-8")
        for there, here in (
            ("/etc/mosquitto/", f"{self.folder}/"),
            ("/var/lib/mosquitto/", f"{self.folder}/data/"),
            ("listener 8883", f"listener {self.port} 127.0.0.1"),
        ):
            assert there in text
            text = text.replace(there, here)
        # Started by root it would become another user, who cannot read a test's folder.
        (self.folder / "mosquitto.conf").write_text(f"{text}\nuser {getpass.getuser()}\n")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0
