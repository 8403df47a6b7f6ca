"""A whole federation on this machine, by its commands: a server and its clinics, each in its own processes.

The files of the server and the coordinator are in ``server_side``, those of the clinics in ``clinics``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dermafed.server.coordinator.federation_folder import load_settings, save_settings
from tests.commands.test_help import script
from tests.paths import ROOT
from tests.ports import free_port

STOPPED = ("finished", "paused", "failed", "stopped")
TIMEOUT = 3600.0  # seconds for what takes a minute on an idle machine


@dataclass
class WholeRun:
    """A federation's folders and processes.

    Attributes:
        folder: the folder of all files.
        host: the server's name for the clinics.
        prefix: the start of every command, such as ``nsenter`` and its arguments.
        environment: variables besides this process's own.
        processes: the running processes, by name.
    """

    folder: Path
    host: str = "localhost"
    prefix: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def server_side(self) -> Path:
        return self.folder / "server_side"

    @property
    def server(self) -> Path:
        return self.server_side / "alps"

    def home(self, clinic: str) -> Path:
        return self.folder / "clinics" / clinic / "home"

    def call(self, name: str, *arguments: object) -> str:
        """The output of a command, which must succeed."""
        command = [*self.prefix, script(name), *map(str, arguments)]
        done = subprocess.run(
            command, env=self._environment(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def coordinator(self, *arguments: object) -> str:
        return self.call("fl-server", *arguments, "--dir", self.server)

    def clinic(self, clinic: str, *arguments: object) -> str:
        return self.call("fl-client", *arguments, "--dir", self.home(clinic))

    def start(self, name: str, log: Path, *command: str) -> None:
        """Start a process that runs until the end, with its output in a file."""
        with log.open("ab") as file:
            self.processes[name] = subprocess.Popen(
                [*self.prefix, *command],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def set_up(self, port: int, clinics: Mapping[str, Path]) -> None:
        """Make the server's folder and those of the clinics with their data, which join the federation."""
        self.server_side.mkdir(parents=True)
        self.call("fl-server", "init", self.server, "--host", self.host, "--port", port)
        for name, data in clinics.items():
            home, invitation = self.home(name), self.server_side / f"{name}.invitation"
            home.parent.mkdir(parents=True, exist_ok=True)
            self.call("fl-client", "init", home, "--clinic", name, "--data", data)
            self.coordinator("enrol", name, home / "key.pub", "--out", invitation)
            self.clinic(name, "join", invitation)

    def listen_on(self, port: int) -> None:
        """Let the server listen on another port than that of its invitations, as behind a load balancer."""
        save_settings(self.server, replace(load_settings(self.server), port=port, health_port=port + 1))

    def start_server(self) -> None:
        log = self.server_side / "server.log"
        self.start("server", log, script("fl-server"), "start", "--dir", str(self.server))
        self.wait_until(lambda: b"Ready:" in log.read_bytes())

    def start_node(self, clinic: str) -> None:
        log = self.home(clinic).parent / "node.log"
        self.start(clinic, log, script("fl-client"), "start", "--dir", str(self.home(clinic)))

    def start_run(self, plan: str, clinics: Sequence[str]) -> None:
        """Start a run, and approve it at these clinics."""
        path = self.server_side / "plan.toml"
        path.write_text(plan)
        name = tomllib.loads(plan)["name"]
        self.coordinator("train", path)
        for clinic in clinics:
            self.wait_until(lambda clinic=clinic: name in self.plans_at(clinic), pause=2)  # type: ignore[misc]
            self.clinic(clinic, "approve", name)

    def start_all(self, plan: str, clinics: Mapping[str, Path]) -> None:
        """Set up and start a server, clinics with their data, and a run that all approve."""
        self.set_up(free_port(), clinics)
        self.start_server()
        for name in clinics:
            self.start_node(name)
        self.start_run(plan, list(clinics))

    def plans_at(self, clinic: str) -> list[str]:
        """The names of the plans that have come to a clinic."""
        return [plan["name"] for plan in json.loads(self.clinic(clinic, "plans", "--json"))]

    def last_run(self) -> dict[str, Any]:
        """The last run, as ``fl-server runs`` lists it."""
        values: dict[str, Any] = json.loads(self.coordinator("runs", "--json"))["runs"][-1]
        return values

    def finished_run(self) -> dict[str, Any]:
        """Wait until the last run has stopped, and return it."""
        self.wait_until(lambda: self.last_run()["status"] in STOPPED, pause=2)
        return self.last_run()

    def wait_until(self, condition: Callable[[], object], pause: float = 0.2) -> None:
        """Wait for a condition while all processes run."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            self.check()
            assert time.monotonic() < end, "the condition was never true"
            time.sleep(pause)

    def check(self) -> None:
        """Check that all processes run."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended"

    def stop(self, name: str) -> int:
        """Stop a process by SIGTERM; returns its exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(TIMEOUT)

    def _environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(ROOT), "DERMAFED_CACHE": str(self.folder / "clinics" / "cache")}
        return {**os.environ, **own, **self.environment}


@contextmanager
def whole_run(folder: Path, **settings: Any) -> Iterator[WholeRun]:
    """A federation whose processes end with the context."""
    run = WholeRun(folder, **settings)
    try:
        yield run
    finally:
        for process in run.processes.values():
            process.terminate()
        for process in run.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()
