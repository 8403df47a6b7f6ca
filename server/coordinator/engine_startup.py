"""What ``fl-server start`` opens: the link to the clinics behind its listener, and the health port."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dermafed.server.coordinator.federation_folder import RECORD, TRUST, ServerSettings
from dermafed.server.coordinator.health import Figures, health_app
from dermafed.server.coordinator.listener import Certificate, listening
from dermafed.server.flower.fleet_api import fleet_only
from dermafed.server.flower.link import Link
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_rounds
from dermafed.server.record.runs_table import HELD, list_runs
from dermafed.shared.protocol.certificates import SERVER_CERTIFICATE, SERVER_KEY

FLOWER_STATE = "flower.db"


@contextmanager
def open_engine(folder: Path, settings: ServerSettings) -> Iterator[Link]:
    """Open a federation's folder to its clinics.

    Args:
        folder: of ``fl-server init``.
        settings: its server's.

    Yields:
        The link, while clinics can connect.

    Raises:
        SettingsError: a port is taken, or the certificate cannot be used.
        StorageError: Flower's database cannot be used.
    """
    os.environ["FLWR_HOME"] = str(folder.resolve() / "flower")
    link, record = Link(folder / FLOWER_STATE), Record(folder / RECORD)
    certificate = Certificate(folder / TRUST / SERVER_CERTIFICATE, folder / TRUST / SERVER_KEY)
    health = health_app(lambda: figures(link, record))
    with (
        listening(fleet_only(link.superlink), settings.listen, settings.port, certificate),
        listening(health, "127.0.0.1", settings.health_port),
    ):
        yield link


def figures(link: Link, record: Record) -> Figures:
    """How the server stands: its clinics, and the run that is held, if one is."""
    nodes = link.nodes()
    online = sum(node.online for node in nodes)
    held = next((run for run in list_runs(record) if run.status in HELD), None)
    if held is None:
        return Figures(len(nodes), online)
    rounds = list_rounds(record, held.number)
    now = Figures(len(nodes), online, held.name, held.status.value)
    if not rounds:
        return now
    last = rounds[-1]
    return replace(
        now,
        round=last["round"],
        round_seconds=last["seconds"],
        balanced_accuracy=last["validation_balanced_accuracy"],
    )
