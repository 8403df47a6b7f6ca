"""A coordinator and four clinics with folders, consent, gate and audit log, in this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run as FlowerRun

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.clinic_data import OfferFolder, count_training_images
from dermafed.client.node.clinic_sums import ClinicSums
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.gate import filter_reply
from dermafed.client.node.home import Home
from dermafed.client.node.offers import Offers
from dermafed.client.node.worker import _append_to_audit
from dermafed.server.coordinator.plan_file import request_run
from dermafed.server.coordinator.run_execution import RunExecutor
from dermafed.server.record.clinics_table import enrol
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import Run, Status, change_status, find_run
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.agreement import Decision
from dermafed.shared.protocol.node_key import read_public_key
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import LocalGrid, become_server_task
from tests.client.planted_clinic import clinic, data_set

NAMES = ("graz", "linz", "salzburg", "vienna", "wels")
IMAGES = (20, 30, 40, 20, 24)
CLASSES = ("melanoma", "nevus")
PARAMETERS = 12

PLAN = """\
name = "{name}"
rounds = {rounds}
weights = "none"
{keys}
[model]
image_size = 32
classes = ["melanoma", "nevus"]
[preprocess]
denoise = "none"
clahe = false
[training]
epochs = 1
[rules]
approval = "1s"
wait = "1s"
"""
SECURE = 'privacy = { aggregation = "secure", colluders = 1 }'


def start() -> FloatVector:
    return np.linspace(-1, 1, PARAMETERS, dtype=np.float32)


@dataclass(frozen=True)
class Small:
    """A clinic that moves each weight by its place and a bit, with a validation of its own."""

    place: int

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        return Update(weights + np.float32(0.25 * (self.place + 1)), 1, {"loss": 0.5 + self.place})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        labels = np.arange(10 + 2 * self.place) % 2
        right = np.where(np.arange(labels.size) < 6 + self.place, 0.8, 0.3)
        return ClinicEvaluation.from_predictions(labels, np.stack([right, 1 - right], 1)[:, [0, 1]])


@dataclass
class SecureFederation:
    """The folders of a server and its clinics.

    Attributes:
        folder: holds all.
        names: the clinics.
        images: how many each has.
        before: called with a clinic's name and a message before the clinic gets it.
        answers: what passed: clinic, kind, the content or None of an error.
    """

    folder: Path
    names: tuple[str, ...] = NAMES
    images: tuple[int, ...] = IMAGES
    before: Callable[[str, Message], None] = lambda name, message: None
    answers: list[tuple[str, str, RecordDict | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.record = Record.create(self.folder / "record.db")
        self.homes: dict[str, Home] = {}
        for name, images in zip(self.names, self.images, strict=True):
            data = data_set(self.folder / "data" / name, images)
            self.homes[name] = clinic(self.folder / name, data, name, policy='"limits"')
            enrol(self.record, name, read_public_key(self.homes[name].public_key))
        self.apps = {name: self._app(name) for name in self.names}
        self._runs = itertools.count(1)

    def restart(self, name: str) -> None:
        """Start a clinic's node anew: what was in its memory is gone."""
        self.apps[name] = self._app(name)

    def training_counts(self, run: Run) -> dict[str, list[int]]:
        """Each clinic's training images of each class, as only it knows them."""
        folders = {name: OfferFolder(home.offers / run.hash, name) for name, home in self.homes.items()}
        splits = {name: read_clinic_split(folder.split) for name, folder in folders.items()}
        return {name: count_training_images(own, CLASSES).tolist() for name, own in splits.items()}

    def _app(self, name: str) -> ClientApp:
        consent, trainer = ClinicConsent(self.homes[name]), Small(self.names.index(name))
        return build_client_app(lambda context: trainer, None, consent, sums=ClinicSums(consent.summand))

    def ask(self, name: str, rounds: int = 2, keys: str = SECURE) -> Run:
        """The coordinator asks for a run from the small model's weights."""
        path = self.folder / f"{name}.toml"
        path.write_text(PLAN.format(name=name, rounds=rounds, keys=keys))
        run, _ = request_run(self.record, path)
        folder = self.folder / "runs" / run.folder_name
        folder.mkdir(parents=True)
        adapted = np.ones(PARAMETERS, bool)
        np.savez(folder / START_FILE, weights=start(), adapted=adapted, origin="none")
        return run

    def execute(self, name: str) -> Path:
        """Execute a run to its end; returns its folder."""
        run = find_run(self.record, name)
        change_status(self.record, run.number, list(Status), Status.AGREEING)
        RunExecutor(self, self.record, self.folder / "runs").execute(run, Event())  # type: ignore[arg-type]
        return self.folder / "runs" / run.folder_name

    def approve(self, hash: str) -> None:
        """A person at every clinic approves a plan that has come."""
        for home in self.homes.values():
            Offers(home.offers).decide(hash, Decision.APPROVED)

    def nodes(self) -> list[Any]:
        return [_Node(1000 + place, name) for place, name in enumerate(self.names)]

    @contextmanager
    def open_run(self) -> Iterator[int]:
        become_server_task()
        self.number = next(self._runs)
        yield self.number

    def grid(self, run_id: int, clinics: Mapping[int, str], stopped: Event, suspended: object) -> Grid:
        return GatedGrid(self, clinics.values())


@dataclass(frozen=True)
class _Node:
    id: int
    clinic: str
    online: bool = True


class GatedGrid(LocalGrid):
    """Every reply passes the clinic's gate and its audit log, as in its worker."""

    def __init__(self, federation: SecureFederation, names: Iterable[str]) -> None:
        super().__init__(ClientApp(), federation.names)
        self._of, self._asked = federation, set(names)

    @property
    def run(self) -> FlowerRun:
        return FlowerRun.create_empty(run_id=self._of.number)

    def get_nodes(self) -> Iterable[Any]:
        return [node for node in super().get_nodes() if node.name in self._asked]

    def _work(self, message: Message) -> Message:
        name = self.names[message.metadata.dst_node_id]
        home = self._of.homes[name]
        context = Context(self._of.number, message.metadata.dst_node_id, {}, RecordDict(), {})
        self._of.before(name, message)
        reply = self._of.apps[name](message, context)
        consent, run = ClinicConsent(home), context.run_id
        reply = filter_reply(reply, message, consent.classes(run), secure=consent.is_secure(run))
        _append_to_audit(home.audit, reply, context)
        kind = message.metadata.message_type
        self._of.answers.append((name, kind, None if reply.has_error() else reply.content))
        return reply
