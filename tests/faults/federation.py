"""A federation for tests that break it: a server and two clinics, made and run by the real commands."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import typer
from typer.testing import CliRunner

from dermafed.client.cli import app as fl_client
from dermafed.server.cli import app as fl_server
from dermafed.server.rounds.first_weights import START_FILE
from tests.commands.small_datasets import real_dataset
from tests.faults.processes import PATIENCE, Processes, wait_for
from tests.ports import free_port

CLINICS = ("graz", "linz")
SERVER = "server"
ACTIVE = ("asked", "agreeing", "running", "stopping")
LONG = 3600.0
"""Seconds for what takes minutes on an idle machine: many clinics, or a person's approval at each."""

_PLAN = """\
name = "{name}"
rounds = {rounds}
weights = "none"
threads = 1
calibrate = {calibrate}
[model]
image_size = {side}
frozen_blocks = 6
[preprocess]
denoise = "none"
clahe = false
[training]
epochs = 1
batch_size = 4
[rules]
quorum = {quorum}
deadline = "{deadline}"
approval = "{approval}"
wait = "30m"
largest_share = {largest_share}
largest_step = {largest_step}
"""
_RULES = {"rounds": 3, "quorum": 2, "deadline": "30m", "approval": "30m"}
_RULES |= {"side": 64, "calibrate": "true", "largest_share": 0.5, "largest_step": 3.0}

_NODE = """\
import sys
from pathlib import Path
from dermafed.client.node.home import open_home
from dermafed.client.node.supervisor import run_node
run_node(open_home(Path(sys.argv[1])), lambda line: print(line, flush=True), ("-m", "{}"))
"""


def typed(app: typer.Typer, *arguments: object) -> str:
    """What a command prints on stdout; its own error is raised, as ``main`` would show it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))


@dataclass
class Federation(Processes):
    """Folders, processes and commands of a federation on this machine."""

    port: int = field(default_factory=free_port)
    clinics: tuple[str, ...] = CLINICS
    draw: Callable[[Path, Sequence[str]], Path] = lambda folder, clinics: real_dataset(folder, 10, clinics)

    @property
    def server(self) -> Path:
        return self.folder / SERVER

    def home(self, clinic: str) -> Path:
        return self.folder / clinic

    def data(self, clinic: str) -> Path:
        """Its manifest; the images of all clinics lie in one folder."""
        return self.folder / "data" / f"{clinic}.csv"

    def make(self) -> Federation:
        """The commands of the documentation's first page."""
        typed(fl_server, "init", self.server, "--host", "localhost", "--port", self.port)
        settings = self.server / "server.toml"
        edit(settings, f"health_port = {self.port + 1}", f"health_port = {free_port()}")
        _write_data(self)
        for clinic in self.clinics:
            self.init(clinic, self.data(clinic))
            self.enrol(clinic)
        return self

    def init(self, clinic: str, data: Path) -> None:
        """A clinic's folder and key; it approves by its limits, so that nobody has to sit there."""
        typed(fl_client, "init", self.home(clinic), "--clinic", clinic, "--data", data)
        settings = self.home(clinic) / "clinic.toml"
        edit(settings, 'policy = "ask"', 'policy = "limits"')
        edit(settings, "max_rounds = 100", "max_rounds = 1000")

    def enrol(self, clinic: str) -> None:
        """The key goes to the coordinator, the invitation comes back."""
        invitation = self.folder / f"{clinic}.invitation"
        self.coordinator("enrol", clinic, self.home(clinic) / "key.pub", "--out", invitation)
        self.at(clinic, "join", invitation)

    def coordinator(self, *arguments: object) -> str:
        """A command of ``fl-server``."""
        return typed(fl_server, *arguments, "--dir", self.server)

    def at(self, clinic: str, *arguments: object) -> str:
        """A command of ``fl-client``."""
        return typed(fl_client, *arguments, "--dir", self.home(clinic))

    def start_server(self) -> None:
        """Start it, and wait until it is ready."""
        self.start(SERVER, *_main("server"), "start", "--dir", self.server)
        wait_for(lambda: "Ready:" in self.log(SERVER) or self.running[SERVER].poll() is not None)
        if self.running[SERVER].poll() is not None:
            del self.running[SERVER]
            raise RuntimeError(self.log(SERVER))

    def start_clinic(self, clinic: str, worker: str = "", **environment: str) -> None:
        """Start its node, with a worker of the test's own if one is named."""
        command = ("-c", _NODE.format(worker)) if worker else (*_main("client"), "start", "--dir")
        self.start(clinic, *command, self.home(clinic), **environment)

    def start_all(self, worker: str = "") -> None:
        """Start the server and every clinic, and wait until all are connected."""
        self.start_server()
        for clinic in self.clinics:
            self.start_clinic(clinic, worker)
        wait_for(lambda: self.connected(*self.clinics), LONG)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.coordinator("status", "--json")))

    def status_at(self, clinic: str) -> dict[str, Any]:
        return dict(json.loads(self.at(clinic, "status", "--json")))

    def cause_at(self, clinic: str) -> str:
        """Why a clinic is not connected, as its own status shows."""
        return str(self.status_at(clinic)["cause"])

    def check_at(self, clinic: str, name: str) -> dict[str, str]:
        """What ``fl-client check`` finds of one kind."""
        checks = json.loads(self.at(clinic, "check", "--json"))
        return dict(next(check for check in checks if check["name"] == name))

    def online(self, clinic: str) -> bool:
        """Whether the server counts a clinic as connected."""
        return any(each["clinic"] == clinic and each["online"] for each in self.status()["clinics"])

    def connected(self, *clinics: str) -> bool:
        """Whether these clinics' nodes are ready, by their own status and the server's."""
        return all(
            self.online(clinic) and self.status_at(clinic)["node"] == "runs, connected" for clinic in clinics
        )

    def train(self, name: str, **changes: object) -> None:
        """Ask for a run; the changes are of its rounds and rules."""
        plan = self.folder / f"{name}.toml"
        plan.write_text(_PLAN.format(name=name, **{**_RULES, **changes}))
        self.coordinator("train", plan)

    def approved(self, plan: str, **start: object) -> None:
        """Ask for a run, and let a person at every clinic approve it where its limits do not.

        Args:
            plan: the plan file's text.
            start: arrays of the first weights, of a small model in place of the plan's.
        """
        name = str(tomllib.loads(plan)["name"])
        path = self.folder / f"{name}.toml"
        path.write_text(plan)
        self.coordinator("train", path)
        if start:  # before the clinics have agreed
            folder = self.server / "runs" / f"{self.run(name)['number']:04d}-{name}"
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(folder / START_FILE, **start)  # type: ignore[arg-type]
        for clinic in self.clinics:
            if wait_for(lambda clinic=clinic: self.decision_at(clinic, name), LONG) == "waiting":  # type: ignore[misc]
                self.at(clinic, "approve", name)

    def decision_at(self, clinic: str, name: str) -> str:
        """What a clinic has decided about the plan of this name; empty: it has not come."""
        plans = json.loads(self.at(clinic, "plans", "--json"))
        return next((str(plan["decision"]) for plan in plans if plan["name"] == name), "")

    def run(self, name: str) -> dict[str, Any]:
        runs = json.loads(self.coordinator("runs", "--json"))["runs"]
        return dict(next(run for run in runs if run["name"] == name))

    def run_folder(self, name: str) -> Path:
        """Where the server stores a run."""
        (folder,) = (self.server / "runs").glob(f"*-{name}")
        return folder

    def history(self, name: str) -> list[dict[str, Any]]:
        return list(json.loads(self.coordinator("history", name, "--json"))["rounds"])

    def in_round(self, name: str, round: int, clinic: str) -> None:
        """Wait until a clinic is working in a round."""

        def at_work() -> bool:
            run = self.run(name)
            assert run["status"] in ACTIVE, run["why"]
            begun = run["status"] == "running" and run["rounds_done"] == round - 1
            return begun and (self.home(clinic) / "node" / "task.json").exists()

        wait_for(at_work)

    def ends(self, name: str, status: str = "finished", seconds: float = PATIENCE) -> dict[str, Any]:
        """The run, once it has come to rest in this status."""
        run = wait_for(lambda: run if (run := self.run(name))["status"] not in ACTIVE else None, seconds)
        assert run["status"] == status, run["why"]
        return run

    def has_saved(self, name: str, history: Sequence[Mapping[str, Any]], rounds: int = 3) -> None:
        """Nothing that was reported is lost: earlier rounds are unchanged, models are still there."""
        rows = self.history(name)
        assert rows[: len(history)] == history
        assert [row["round"] for row in rows] == list(range(1, rounds + 1))
        models = json.loads(self.coordinator("models", name, "--json"))["models"]
        saved = {role: model["round"] for model in models for role in model["roles"]}
        best = json.loads(self.coordinator("history", name, "--json"))["best_round"]
        assert (saved["last"], saved["best"]) == (rounds, best)
        assert all(Path(model["path"]).stat().st_size == model["size"] for model in models)

    def heal(self) -> None:
        """Everything runs and is connected, and no run is active."""
        if SERVER not in self.running:
            self.start_server()
        for clinic in CLINICS:
            if clinic not in self.running:
                self.start_clinic(clinic)
        for run in json.loads(self.coordinator("runs", "--json"))["runs"]:
            if run["status"] in ACTIVE:
                self.coordinator("stop", run["number"])
                self.ends(run["name"], "stopped")
        wait_for(lambda: self.connected(*CLINICS))


def _main(package: str) -> tuple[str, str]:
    return "-c", f"from {package}.cli import main; main()"


def _write_data(federation: Federation) -> None:
    """Images of three classes, other ones for each clinic."""
    federation.draw(federation.folder / "data", federation.clinics)
    with (federation.folder / "data" / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for clinic in federation.clinics:
        with federation.data(clinic).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if row["clinic"] == clinic)
