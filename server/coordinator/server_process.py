"""The server process: the checks at its start, its listeners, the coordinator's loop, and an orderly end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from types import FrameType

from starlette.types import ASGIApp

from dermafed.server.coordinator.coordinator import Admission, Coordinator
from dermafed.server.coordinator.federation_folder import (
    RECORD,
    RUNS,
    TRUST,
    ServerSettings,
    authority_fingerprint,
    check_server_certificate,
    load_settings,
    open_record,
)
from dermafed.server.coordinator.health import health_app, server_state
from dermafed.server.coordinator.listener import Certificate, bind, listening
from dermafed.server.coordinator.run_execution import RunExecutor
from dermafed.server.flower.fleet_api import fleet_only
from dermafed.server.flower.link import Link
from dermafed.server.record.clinics_table import list_clinics, list_unseen
from dermafed.server.record.record_database import Record
from dermafed.server.rounds.event_files import check_tensorboard
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.certificates import SERVER_CERTIFICATE, SERVER_KEY
from dermafed.shared.protocol.node_key import to_pem
from dermafed.shared.sockets import close_all
from dermafed.shared.storage.atomic_files import check_private
from dermafed.shared.storage.lock import lock_folder

log = logging.getLogger("dermafed.server")

OBJECTS = "under-way"
"""The folder for what is large in messages, while they are under way."""

_EARLIER_STATE = "flower.db*"  # of versions that had Flower's state in a database, updates included
LOOPBACK = "localhost"  # of IPv4 and IPv6

OpenLink = Callable[[Path, ServerSettings], AbstractContextManager[Link]]
"""Opens a federation's folder to its clinics, while the context lasts; a test has clinics in its process."""

MakePage = Callable[[Path, Callable[[], Collection[str]]], ASGIApp]
"""Makes an app from the folder, and from what gives the names of the clinics that have never connected."""

_WARN_BEFORE = timedelta(days=30)
_LOCK_SECONDS = 2.0  # how long to wait for an earlier server's end


@dataclass(frozen=True)
class Ready:
    """What a clinic needs to know once it can connect.

    Attributes:
        federation: its name.
        address: that clinics connect to.
        ca_fingerprint: the authority's, to compare.
        health_port: on this machine only.
    """

    federation: str
    address: str
    ca_fingerprint: str
    health_port: int


@contextmanager
def start_flower(folder: Path, settings: ServerSettings, page: MakePage | None = None) -> Iterator[Link]:
    """Open a federation's folder to its clinics, and the health port to this machine.

    Args:
        folder: the federation's folder.
        settings: the settings in it.
        page: makes the app of the health port's other paths; without it there are none.

    Yields:
        The link, while clinics can connect.

    Raises:
        SettingsError: a port is in use, or the certificate cannot be used.
        StorageError: the folder cannot be written.
    """
    os.environ["FLWR_HOME"] = str(folder.resolve() / "flower")
    for left in folder.glob(_EARLIER_STATE):
        left.unlink()
    link, record = Link(folder / OBJECTS), Record(folder / RECORD)
    _admit(link, record)
    certificate = Certificate(folder / TRUST / SERVER_CERTIFICATE, folder / TRUST / SERVER_KEY)

    health = health_app(
        lambda: server_state(link, record), page(folder, partial(list_unseen, record)) if page else None
    )
    with (
        listening(fleet_only(link), settings.listen, settings.port, certificate),
        listening(health, LOOPBACK, settings.health_port),
    ):
        try:
            yield link
        finally:
            link.inboxes.close()


def _admit(link: Link, record: Record) -> None:
    """Let all enrolled clinics connect before the port is open: one that calls too early would be refused."""
    for clinic in list_clinics(record, revoked=False):
        with suppress(SettingsError):  # said by the coordinator's loop
            link.register(clinic.name, to_pem(clinic.key))


def serve(
    folder: Path,
    on_ready: Callable[[Ready], None],
    tensorboard: Path | None = None,
    *,
    open_link: OpenLink = start_flower,
) -> None:
    """Serve a federation until SIGINT or SIGTERM.

    Args:
        folder: the federation's folder, made by ``fl-server init``.
        on_ready: called once clinics can connect.
        tensorboard: a folder for TensorBoard's event files; none are written without it.
        open_link: opens the folder to the clinics.

    Raises:
        DermaFedError: the server cannot start; names the reason.
    """
    settings = check_folder(folder)
    if tensorboard is not None:
        check_tensorboard()
    with lock_folder(folder, _LOCK_SECONDS):
        for host, port in ((settings.listen, settings.port), (LOOPBACK, settings.health_port)):
            close_all(bind(host, port))
        record = Record(folder / RECORD)
        with closing_on_signals() as closing, record.stay_open(), open_link(folder, settings) as link:
            executor = RunExecutor(link, record, folder / RUNS, tensorboard)
            fingerprint = authority_fingerprint(folder / TRUST)
            on_ready(Ready(settings.federation, settings.address, fingerprint, settings.health_port))
            Coordinator(Admission(link, record), executor).serve(closing)
        log.info("The server has ended; active runs continue when it starts again")


def check_folder(folder: Path) -> ServerSettings:
    """Check a federation's folder: complete, private, with a valid certificate. Returns its settings.

    Raises:
        InputError: a check failed; names the reason.
    """
    settings = load_settings(folder)
    check_private(folder / RECORD)
    open_record(folder)
    left = check_server_certificate(folder / TRUST)
    if left < _WARN_BEFORE:
        log.warning("The server's certificate expires in %d days; run: fl-server renew", left.days)
    return settings


@contextmanager
def closing_on_signals() -> Iterator[Event]:
    """An event that the first SIGINT or SIGTERM sets; the second one ends the process at once."""
    closing = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def close(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        closing.set()

    for number in before:
        signal.signal(number, close)
    try:
        yield closing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
