"""A coordinator with a federation in this process: everything is real, but the clinics are small."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from dermafed.server.coordinator.coordinator import Admission, Coordinator
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_execution import RunExecutor
from dermafed.server.record.clinics_table import enrol, list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import NewRun, Run, Status, add_run, find_run
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.shared.errors import FederationError
from dermafed.shared.training.trainer import Trainer
from dermafed.simulation.engines.local import LocalGrid, become_server_task
from tests.server.small_clinics import PARAMETERS, joining_app, start_weights, trainer_for

CLINICS = ("graz", "linz", "wels")


class StoppableGrid(LocalGrid):
    """As the server's grid: every call fails once the run is stopped."""

    def __init__(self, app: ClientApp, names: Iterable[str], stopped: Event) -> None:
        super().__init__(app, list(names))
        self._stopped = stopped

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        replies = list(super().pull_messages(message_ids))
        if self._stopped.is_set():
            raise FederationError("The run was stopped")
        return replies


@dataclass(frozen=True)
class LocalNode:
    id: int
    clinic: str
    online: bool = True
    silence: float = 0.0


@dataclass
class LocalLink:
    """Clinics in this process; another ``trainer`` makes them fail."""

    trainer: Callable[[Context], Trainer] = trainer_for
    keys: dict[bytes, LocalNode] = field(default_factory=dict)
    open_runs: int = 0
    most_open: int = 0
    stopped: Event = field(default_factory=Event)
    _grid_ids: dict[str, int] = field(
        default_factory=lambda: {name: 1000 + i for i, name in enumerate(CLINICS)}
    )
    _other_ids: Iterator[int] = field(default_factory=lambda: itertools.count(2000))

    def register(self, clinic: str, key: bytes) -> int:
        if key not in self.keys:  # the first time with the id that the local grid gives this clinic
            self.keys[key] = LocalNode(self._grid_ids.pop(clinic, None) or next(self._other_ids), clinic)
        return self.keys[key].id

    def remove(self, node_id: int) -> None:
        self.keys = {key: node for key, node in self.keys.items() if node.id != node_id}

    def nodes(self) -> list[LocalNode]:
        return list(self.keys.values())

    @contextmanager
    def open_run(self) -> Iterator[int]:
        become_server_task()
        self.open_runs += 1
        self.most_open = max(self.most_open, self.open_runs)
        try:
            yield 1
        finally:
            self.open_runs -= 1

    def grid(
        self, run_id: int, clinics: Mapping[int, str], stopped: Event, suspended: Callable[[], object]
    ) -> Grid:
        self.stopped = stopped
        return StoppableGrid(joining_app(lambda c: self.trainer(c)), sorted(clinics.values()), stopped)


@dataclass
class Server:
    """A folder with a record, and a coordinator that may be stopped and started again."""

    folder: Path
    link: LocalLink = field(default_factory=LocalLink)
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        path = self.folder / "record.db"
        self.record = Record(path) if path.exists() else Record.create(path)
        for number, name in enumerate(CLINICS):
            if name not in {clinic.name for clinic in list_clinics(self.record)}:
                enrol(self.record, name, public_key(number))

    def coordinator(self) -> Coordinator:
        executor = RunExecutor(self.link, self.record, self.folder / "runs", self.tensorboard)
        return Coordinator(Admission(self.link, self.record), executor)

    @contextmanager
    def running(self) -> Iterator[Event]:
        closing = Event()
        thread = Thread(target=self.coordinator().serve, args=(closing,))
        thread.start()
        try:
            yield closing
        finally:
            closing.set()
            thread.join(30)
            assert not thread.is_alive()

    def ask(self, name: str, rounds: int = 4, rules: str = "") -> Run:
        """Ask for a run that starts from the small model's weights."""
        text = f'name = "{name}"\nrounds = {rounds}\nweights = "none"\n[rules]\n{rules}\n'
        offer = parse_plan(text, Path("plan.toml")).offer
        asked = NewRun(name, text, Path("plan.toml"), CLINICS, offer.to_text(), offer.hash, rounds)
        add_run(self.record, asked)
        run = find_run(self.record, name)
        (self.runs_folder(run)).mkdir(parents=True)
        np.savez(
            self.runs_folder(run) / START_FILE,
            weights=start_weights(),
            adapted=np.ones(PARAMETERS, bool),
            origin="none",
        )
        return run

    def runs_folder(self, run: Run) -> Path:
        return self.folder / "runs" / run.folder_name

    def await_status(self, name: str, *statuses: Status) -> Run:
        return self.await_run(name, lambda run: run.status in statuses)

    def await_run(self, name: str, right: Callable[[Run], bool]) -> Run:
        end = time.monotonic() + 30
        while not right(run := find_run(self.record, name)):
            assert time.monotonic() < end, run
            time.sleep(0.01)
        return run


def public_key(number: int) -> str:
    """A P-384 key, another for each number."""
    key = ec.derive_private_key(number + 2, ec.SECP384R1()).public_key()
    encoding, kind = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(encoding, kind).decode()
